"""The tests of what by-cp gives to its users' tests."""
