"""The tests of by-cp."""
