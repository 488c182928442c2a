"""Kill managers at random moments, again and again, and show that nothing is lost or done twice.

    python benchmarks/torture                    # 200 kills, and 60 s without a server
    python benchmarks/torture --kills 10 --seconds 15 --absence-s 2

Two managers with real worker processes, which fail some wakes on purpose, and senders under all
policies, for several agent types and tenants with quotas. SIGKILL at random moments, half of them
just after a provider was called; a sender now and then, too. Some managers are frozen until others
have taken over from them, and then go on; some are replaced in order; an operator pauses, forces
and sets. Half way the server itself is killed, and is away for a while. When all has come to rest,
every command and every view is checked (see `checks.py`). Exit code 1 on any violation: then the
seed and the history of the execution are printed. The seed repeats what is decided, not how the
processes interleave.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import checks
import plan
from fleet import Fleet, fleet
from meddling import meddle, undo
from records import PROVIDER, SENDERS, WORKERS, Records

from by_cp.control_plane import ControlPlane
from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys
from by_cp.log.commands import Configure
from by_cp.statemachine.events import CircuitPolicySet, QuotaSet

MANAGERS = 2
SETTLE_S = 120.0
CALL_WAIT_S = 2.0
SENDER_EVERY = 8
"""With each so many kills of a manager a sender is killed, too."""
FREEZE_EVERY = 5
"""With each so many the manager that was not killed is frozen."""
STOP_EVERY = 7
"""With each so many a manager is replaced as one does it in operation: by SIGTERM."""
WORKER_EVERY = 3
"""With each so many a worker is killed whose manager lives."""
REPORT_EVERY_S = 15.0


class Torture:
    """One run, in one directory."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._chance = random.Random(options.seed)  # noqa: S311 - it must repeat
        self._provider = Records(directory, PROVIDER)
        self._senders = Records(directory, SENDERS)
        self._workers = Records(directory, WORKERS)
        self._freezing: list[asyncio.Task[None]] = []
        self._begun_s = time.monotonic()

    async def run(self) -> None:
        """Torture, let it come to rest, and check."""
        data = self._directory / "data"
        server = await EmbeddedServer.start(data)
        try:
            await self._configure(server.url)
            with fleet(
                server.url, self._directory, self._options.seed, self._options.pause_s
            ) as ships:
                ships.managers += [ships.start_manager() for _ in range(MANAGERS)]
                ships.senders += [ships.start_sender() for _ in range(self._options.senders)]
                meddling = asyncio.create_task(meddle(server.url, self._options.seed))
                await self._kill_many(ships, self._options.kills // 2)
                if self._options.absence_s:
                    server = await self._without_server(server, data)
                await self._kill_many(ships, self._options.kills - self._options.kills // 2)
                await asyncio.gather(*self._freezing)
                await ended(meddling)
                await asyncio.to_thread(ships.stop, ships.senders)
                await self._finish(ships, server.url)
        finally:
            await server.stop()

    async def _configure(self, url: str) -> None:
        async with ControlPlane.connect(url) as plane:
            for tenant, limit in plan.QUOTAS.items():
                await plane.store.execute(Configure(event=QuotaSet("", tenant, limit, "torture")))
            policy = CircuitPolicySet("", "", 4, 10_000, 1_000, 2, 3_000, "torture")
            await plane.store.execute(Configure(event=policy))

    async def _kill_many(self, ships: Fleet, kills: int) -> None:
        pause_s = self._options.seconds / max(1, self._options.kills)
        report_s = time.monotonic() + REPORT_EVERY_S
        for kill in range(1, kills + 1):
            end_s = time.monotonic() + pause_s
            await asyncio.sleep(self._chance.uniform(0, pause_s))
            if kill % 2:
                await self._after_a_call(end_s + CALL_WAIT_S)
            ships.kill(self._chance, ships.managers)
            if kill % SENDER_EVERY == 0:
                ships.kill(self._chance, ships.senders)
                ships.senders.append(ships.start_sender())
            if kill % FREEZE_EVERY == 0:
                frozen_s = self._chance.uniform(0.5, 2) * plan.LEASE_MS / 1000
                self._freezing.append(
                    asyncio.create_task(ships.freeze(ships.managers[0], frozen_s))
                )
            ships.managers.append(ships.start_manager())
            if kill % WORKER_EVERY == 0:
                ships.kill_worker(self._chance)
            if kill % STOP_EVERY == 0:
                ships.managers.append(ships.start_manager())
                await ships.stop_one(self._chance, ships.managers)
            if time.monotonic() > report_s:
                report_s += REPORT_EVERY_S
                self._say(f"{kill} of {kills} killed")
            await asyncio.sleep(max(0, end_s - time.monotonic()))

    async def _after_a_call(self, end_s: float) -> None:
        """Wait until a provider is called, and a moment more."""
        before = self._provider.size_bytes()
        while (  # noqa: ASYNC110 - it is told by a file
            self._provider.size_bytes() == before and time.monotonic() < end_s
        ):
            await asyncio.sleep(0.002)
        await asyncio.sleep(self._chance.uniform(0, 0.05))

    async def _without_server(self, server: EmbeddedServer, data: Path) -> EmbeddedServer:
        self._say(f"the server is away for {self._options.absence_s:g} s")
        os.kill(server.pid, signal.SIGKILL)
        await server.stop()
        await asyncio.sleep(self._options.absence_s)
        return await EmbeddedServer.start(data)

    async def _finish(self, ships: Fleet, url: str) -> None:
        async with ControlPlane.connect(url) as plane:
            self._say("coming to rest")
            await undo(plane.store)
            ships.workers += [ships.start_worker(name) for name in plan.AGENT_TYPES]
            end_s = time.monotonic() + SETTLE_S
            while left := await checks.unsettled(plane.store, plane.redis):
                if time.monotonic() > end_s:
                    views = await plane.store.views()
                    raise checks.Violation(f"no rest: {left}", next(iter(views.pending), ""))
                await asyncio.sleep(0.1)
            await asyncio.to_thread(ships.stop, ships.managers)
            await asyncio.to_thread(ships.stop, ships.workers)
            self._say("checking")
            counts = checks.check(await self._evidence(plane))
        counts = {"kills": self._options.kills, "of workers": ships.workers_killed} | counts
        print(*(f"{n} {c}" for n, c in counts.items()), sep=", ")
        print("nothing lost, nothing twice, log and views agree")

    async def _evidence(self, plane: ControlPlane) -> checks.Evidence:
        added = {}
        for agent_type in plan.AGENT_TYPES:
            stream = RedisKeys.ctrl_stream(agent_type)
            there = await plane.redis.exists(stream)
            info = await plane.redis.xinfo_stream(stream) if there else {"entries-added": 0}
            added[agent_type] = info["entries-added"]
        return checks.Evidence(
            *(await checks.whole_log(plane.store), await plane.store.views()),
            *(self._provider.read(), self._senders.read(), self._workers.read(), added),
        )

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._begun_s:4.0f} s] {text}", flush=True)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel what runs until it is cancelled; if it ended by itself, raise why."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def replayed(directory: Path, execution_id: str) -> None:
    """Print the history of one execution."""
    server = await EmbeddedServer.start(directory / "data")
    command = ("-m", "by_cp.replay.command", execution_id, "--url", server.url)
    await asyncio.to_thread(subprocess.run, [sys.executable, *command], check=False)
    await server.stop()


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="of managers (default: 200)")
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one)")
    parser.add_argument(
        "--seconds", type=float, default=300, help="for the kills together (default: 300)"
    )
    parser.add_argument(
        "--absence-s", type=float, default=60, help="without server, half way (default: 60)"
    )
    parser.add_argument("--senders", type=int, default=16, help="processes (default: 16)")
    parser.add_argument(
        "--pause-s", type=float, default=1.5, help="between a caller's sends (default: 1.5)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    given = parser.parse_args()
    if given.seed is None:
        given.seed = random.SystemRandom().randrange(10**6)
    return given


def main() -> int:
    """Torture; return the exit code."""
    given = options()
    directory = Path(tempfile.mkdtemp(prefix="by-cp-torture-"))
    print(f"seed {given.seed}, in {directory}", flush=True)
    try:
        asyncio.run(Torture(given, directory).run())
    except AssertionError as broken:
        print(f"VIOLATION with seed {given.seed}: {broken}", f"kept: {directory}", sep="\n")
        if execution_id := getattr(broken, "execution_id", ""):
            asyncio.run(replayed(directory, execution_id))
        return 1
    except KeyboardInterrupt:
        return 130
    if not given.keep:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
