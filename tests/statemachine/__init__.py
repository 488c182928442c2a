"""The tests of the state machine."""
