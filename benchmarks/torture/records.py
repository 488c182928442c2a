"""What the tortured processes write down: lines of JSON in files that outlive whoever wrote them.

One line is one write to a file opened for appending, so lines of many processes do not mix, and
what was written before a SIGKILL is there after it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

PROVIDER = "provider"
"""A line for each call of a provider, written before it acts."""

SENDERS = "senders"
"""A line before a command is sent, and one when it is answered."""

WORKERS = "workers"
"""A line for each command that a worker handles."""


class Records:
    """One kind of lines, in one directory."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.path = directory / f"{kind}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **fields: Any) -> None:
        """Write one line."""
        os.write(self._file, json.dumps(fields).encode() + b"\n")

    def size_bytes(self) -> int:
        """Return how much there is by now."""
        return self.path.stat().st_size

    def read(self) -> list[dict[str, Any]]:
        """Return all lines."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]
