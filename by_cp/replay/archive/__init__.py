"""The log, kept in files: sealed, checksummed, chained by their hashes. See docs/archive.md."""
