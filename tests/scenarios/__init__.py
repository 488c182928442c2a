"""What users rely on, end to end: real callers, managers and servers."""
