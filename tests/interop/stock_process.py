"""A stock worker in a process of its own: `python -m tests.interop.stock_process URL AGENT_TYPE`.

It notes what it handles, and in which process, in a list of the server's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

logging.getLogger("by-framework").addHandler(logging.NullHandler())  # else it writes a file

from redis.asyncio import Redis  # noqa: E402 - see above

from tests.interop.stock import working  # noqa: E402

HANDLED = "test:handled"
"""List of `process content`."""


HANG = "hang"
"""What is never done with."""


async def main(url: str, agent_type: str) -> None:
    """Work until the process ends."""
    async with Redis.from_url(url, decode_responses=True, socket_timeout=None) as redis:

        async def handle(command: Any, _: Any) -> Any:
            await redis.rpush(HANDLED, f"{os.getpid()} {command.content}")
            if command.content == HANG:
                await asyncio.Event().wait()
            return {"content": f"echo: {command.content}"}

        with tempfile.TemporaryDirectory() as workspace:
            async with working(redis, Path(workspace), agent_type, handle):
                await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
