"""The agent of `by-cp demo`: what the woken worker processes run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def shout(command: Mapping[str, Any]) -> str:
    """Answer in capitals, and say which process did it."""
    return f"{str(command['body']['content']).upper()} (process {os.getpid()})"
