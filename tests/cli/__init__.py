"""Tests of the commands, as real processes on a real server."""
