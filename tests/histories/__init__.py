"""Recorded histories, for events of every schema version that was ever written."""
