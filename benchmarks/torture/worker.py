"""A worker that writes down what it handles. The agent type and the server are in its environment.

python worker.py DIRECTORY [IDLE_EXIT_S]
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plan
from records import WORKERS, Records

from by_cp.cli.running import run
from by_cp.control_plane import ControlPlane


async def main(directory: Path, idle_exit_s: float | None) -> int:
    """Work until stopped, killed or idle."""
    records = Records(directory, WORKERS)
    agent_type = os.environ["BY_CP_AGENT_TYPE"]

    async def handle(command: Mapping[str, Any]) -> None:
        content = command["body"]["content"]
        records.add(content=content, named=command["header"]["target_agent_type"], by=agent_type)
        await asyncio.sleep(0.002)

    patience = plan.patience()
    async with ControlPlane.connect(os.environ["BY_CP_URL"], patience=patience) as plane:
        await plane.worker(
            agent_type,
            handle,
            lease_ttl_ms=plan.LEASE_MS,
            heartbeat_s=plan.LEASE_MS / 4000,
            concurrency_max=4,
            idle_exit_s=idle_exit_s,
        ).run()
    return 0


if __name__ == "__main__":
    idle = sys.argv[2:]
    sys.exit(run(main(Path(sys.argv[1]), float(idle[0]) if idle else None), terminated=0))
