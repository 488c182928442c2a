"""by-replay and by-cp, as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, NamedTuple

BY_REPLAY = (sys.executable, "-m", "by_cp.replay.command")
BY_CP = (sys.executable, "-m", "by_cp.cli")


class Done(NamedTuple):
    """What a process did."""

    code: int
    output: str
    complaints: str

    @property
    def json(self) -> Any:
        """Its output, as JSON."""
        return json.loads(self.output)


async def by_replay(*arguments: str, **env: str) -> Done:
    """Run the command to its end."""
    return await _run(BY_REPLAY, *arguments, **env)


async def by_cp(*arguments: str, **env: str) -> Done:
    """Run the command to its end."""
    return await _run(BY_CP, *arguments, **env)


async def _run(command: tuple[str, ...], *arguments: str, **env: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80", **env},
    )
    output, complaints = await process.communicate()
    return Done(process.returncode or 0, output.decode(), complaints.decode())
