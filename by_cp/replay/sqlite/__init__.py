"""The log as a SQLite file, for questions that no command answers. See docs/export.md."""
