"""Providers that come with by-cp. `process.py` starts worker processes on this machine."""
