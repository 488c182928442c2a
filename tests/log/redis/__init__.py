"""What is particular to the log on a server."""
