"""Drift between the log and the live rows: found, and mended."""
