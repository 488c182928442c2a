"""What becomes of the work when the server goes away for a while, under load.

    python benchmarks/absence.py               # 60 seconds of absence
    python benchmarks/absence.py --away-s 5

Two managers with worker processes and some senders, all at work, when the server is killed. After
the absence it is started again, in the same directory, and nobody does anything by hand. At the end
every accepted command must have been delivered once and answered. What the managers did meanwhile
is printed as the share of one core that they used: a loop that spins would use all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from by_cp.control_plane import ControlPlane
from by_cp.embedded import EmbeddedServer
from by_cp.errors import ServerError
from by_cp.ids import new_execution_id
from by_cp.vocabulary import RoutePolicy

AGENT_TYPES = ("echo", "report", "night-shift")
SENDERS = 6
PAUSE_S = 0.05
LOADED_S = 3.0
SETTLED_S = 60.0
BY_CP = (sys.executable, "-m", "by_cp.cli")
AGENT = """
[agents.{name}]
provider = "process"
command = ["{python}", "-m", "by_cp.cli", "worker", "--handler", "by_cp.cli.demo_agents:shout"]
idle_exit_s = 1
"""


class Load:
    """Senders that go on, whatever happens: they repeat a send until it is answered."""

    def __init__(self, plane: ControlPlane) -> None:
        self.sent: dict[str, str] = {}
        """execution_id -> session of what was accepted."""
        self.refused = 0
        self._plane = plane
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until stopped."""
        await asyncio.gather(*(self._send_on(number) for number in range(SENDERS)))

    def stop(self) -> None:
        """Finish what is being sent, and send no more."""
        self._stopping.set()

    async def _send_on(self, number: int) -> None:
        count = 0
        while not self._stopping.is_set():
            count += 1
            session, execution_id = f"session-{number}-{count}", new_execution_id()
            agent_type = AGENT_TYPES[(number + count // 40) % len(AGENT_TYPES)]
            while not await self._sent(agent_type, session, execution_id):
                self.refused += 1
                await asyncio.sleep(PAUSE_S)
            self.sent[execution_id] = session
            await asyncio.sleep(PAUSE_S)

    async def _sent(self, agent_type: str, session: str, execution_id: str) -> bool:
        try:
            response = await self._plane.client.send_message(
                agent_type,
                session,
                "hello",
                route_policy=RoutePolicy.WAKE_AND_QUEUE,
                execution_id=execution_id,
            )
        except ServerError:
            return False
        assert response.success, response
        return True


def cpu_s(process: Popen[bytes]) -> float:
    """Return the CPU time that a process has used, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def settled(plane: ControlPlane, sent: dict[str, str]) -> Counter[str]:
    """Wait until all that was sent is answered; return how many came to which end."""
    end_s = time.monotonic() + SETTLED_S
    for session in sent.values():
        while not await plane.replies(session):
            assert time.monotonic() < end_s, f"no answer in {session}"
            await asyncio.sleep(PAUSE_S)
    ends: Counter[str] = Counter()
    for execution_id in sent:
        names = [entry.event.name for entry in await plane.history(execution_id)]
        ends[f"delivered {names.count('Delivered')} times"] += 1
    return ends


@contextmanager
def managers(home: Path, url: str) -> Iterator[list[Popen[bytes]]]:
    """Two managers that run meanwhile."""
    config = home / "by-cp.toml"
    config.write_text("".join(AGENT.format(name=n, python=sys.executable) for n in AGENT_TYPES))
    command = (*BY_CP, "manager", "--config", str(config), "--url", url)
    with (home / "log").open("ab") as log:
        started = [Popen(command, stderr=log) for _ in range(2)]  # noqa: S603 - our own
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


async def measure(away_s: float, home: Path) -> None:
    """Do it once, and print what came of it."""
    server = await EmbeddedServer.start(home / "data")
    with managers(home, server.url) as processes:
        async with ControlPlane.connect(server.url) as plane:
            load = Load(plane)
            loading = asyncio.create_task(load.run())
            await asyncio.sleep(LOADED_S)
            os.kill(server.pid, signal.SIGKILL)
            await server.stop()
            before, used_s = len(load.sent), sum(map(cpu_s, processes))
            print(f"server killed after {before} commands; away for {away_s:g} s", flush=True)
            await asyncio.sleep(away_s)
            used_s = sum(map(cpu_s, processes)) - used_s
            server = await EmbeddedServer.start(home / "data")
            await asyncio.sleep(LOADED_S)
            load.stop()
            await loading
            ends = await settled(plane, load.sent)
        assert all(process.poll() is None for process in processes), "a manager has ended"
    await server.stop()
    print(f"commands accepted: {len(load.sent)}, {len(load.sent) - before} of them afterwards")
    print(f"sends repeated because the server was away: {load.refused}")
    print(f"what came of them: {dict(ends)}")
    print(f"CPU of a manager meanwhile: {used_s / 2 / away_s:.1%} of a core")
    assert set(ends) == {"delivered 1 times"}, "not every command was delivered once"


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--away-s", type=float, default=60.0, help="how long the server is away")
    with tempfile.TemporaryDirectory(prefix="by-cp-absence-") as home:
        asyncio.run(measure(parser.parse_args().away_s, Path(home)))


if __name__ == "__main__":
    main()
