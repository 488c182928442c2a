"""Tests of the export into SQLite."""
