"""A manager whose provider writes down each call before it acts, and fails some on purpose.

python manager.py URL DIRECTORY SEED
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import plan
from records import PROVIDER, Records

from by_cp.cli.log_output import write_logs
from by_cp.cli.service import serve
from by_cp.control_plane import ControlPlane
from by_cp.manager.manager import Manager
from by_cp.manager.provider import Decision, ProviderUnavailable
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

SLOW_S_MAX = 2.0


class RecordedProvider:
    """A process provider that is watched, and does not always do what it is asked for."""

    def __init__(self, processes: ProcessProvider, records: Records, seed: str) -> None:
        self._processes = processes
        self._records = records
        self._seed = seed

    async def wakeup(self, request: WakeupRequest) -> Decision:
        """Write the call down; then start a worker, or fail."""
        self._records.add(epoch=request.epoch, agent_type=request.target_agent_type)
        chance = random.Random(f"{self._seed}/{request.epoch}")  # noqa: S311 - it must repeat
        lot = chance.random()
        if lot < 0.06:  # noqa: PLR2004 - shares
            raise RuntimeError("broken on purpose")
        if lot < 0.12:  # noqa: PLR2004
            raise ProviderUnavailable("away on purpose", retry_after_ms=200)
        if lot < 0.17:  # noqa: PLR2004
            return {"status": WakeupDecisionStatus.FAILED, "reason": "failed on purpose"}
        if lot < 0.20:  # noqa: PLR2004
            return {"status": WakeupDecisionStatus.REJECTED, "reason": "refused on purpose"}
        if lot < 0.24:  # noqa: PLR2004
            return {"status": WakeupDecisionStatus.FALLBACK, "selected_agent_type": "writer"}
        if lot < 0.50:  # noqa: PLR2004
            await asyncio.sleep(chance.uniform(0, SLOW_S_MAX))
        return await self._processes.wakeup(request)

    async def watch(self, request: WakeupRequest) -> WakeupDecision:
        """Let the process provider say when its processes have failed."""
        return await self._processes.watch(request)


class Service:
    """The manager, until it is told to stop."""

    def __init__(self, url: str, directory: Path, seed: str) -> None:
        self._url = url
        self._directory = directory
        self._seed = seed
        self._manager: Manager | None = None

    async def run(self) -> None:
        """Manage."""
        program = Path(__file__).with_name("worker.py")
        command = [sys.executable, str(program), str(self._directory), str(plan.IDLE_S)]
        patience = plan.patience()
        async with (
            ControlPlane.connect(self._url, patience=patience) as plane,
            ProcessProvider(
                {name: WorkerSpec(command=command) for name in plan.AGENT_TYPES},
                url=self._url,
                log_directory=self._directory,
                stop_grace_s=5,
            ) as processes,
        ):
            provider = RecordedProvider(processes, Records(self._directory, PROVIDER), self._seed)
            self._manager = plane.manager(
                provider,
                attempts_max=3,
                gate_interval_s=0.1,
                sweep_interval_s=0.2,
                lease_s=plan.LEASE_MS / 1000,
            )
            await self._manager.run()

    def stop(self) -> None:
        """Stop in order."""
        if self._manager is not None:
            self._manager.stop()


if __name__ == "__main__":
    write_logs("json", "info")
    sys.exit(serve(Service(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
