"""Names of controllers, gates and sweepers, as they stand in the log."""

from __future__ import annotations

import os
import secrets
import socket


def new_actor(role: str) -> str:
    """Return a name that no other has: `gate@host:4711-a1b2`."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}-{secrets.token_hex(2)}"
