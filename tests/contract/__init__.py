"""The tests of the contract that every store must keep."""
