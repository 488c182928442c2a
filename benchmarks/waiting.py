"""How long it takes from READY until those who wait are told, when 10,000 wait for one wake.

    python benchmarks/waiting.py
    python benchmarks/waiting.py --callers 1000 --processes 2

Some processes send WAKE_AND_WAIT for one agent that sleeps. Its provider answers when all of them
wait, with one worker online. READY is the time of each execution's BecameReady in the log, by the
server's clock, which here is the callers'; told is when `send_message` has returned. Times depend
on the machine and on what else it does: they are printed, and nothing is asserted of them. What is
asserted: the provider is called once, everyone is told that it was delivered, and no process needs
more than four connections.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from by_cp.control_plane import ControlPlane
from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys
from by_cp.log.contract import Entry
from by_cp.statemachine.events import BecameReady, Requested
from by_cp.statemachine.position import BEGINNING, time_ms
from by_cp.vocabulary import RoutePolicy, WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

AGENT_TYPE = "sleeper"
CONNECTIONS_MAX = 4
TIMEOUT_MS = 120_000


class Alarm:
    """A provider that brings a worker once so many wait."""

    def __init__(self, plane: ControlPlane, callers: int) -> None:
        self._plane = plane
        self._callers = callers
        self.calls = 0
        self.connections: Counter[str] = Counter()

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Wait for everyone, count their connections, and announce a worker."""
        self.calls += 1
        while await self._held() < self._callers:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # the last to come have come to rest
        clients: Any = await self._plane.redis.client_list()
        self.connections.update(c["name"] for c in clients if c["name"].startswith("callers-"))
        await self._plane.store.announce("worker-1", (AGENT_TYPE,), TIMEOUT_MS)
        return WakeupDecision(request.execution_id, status=WakeupDecisionStatus.READY)

    async def _held(self) -> int:
        return int(await self._plane.redis.hget(RedisKeys.pending_depth(), AGENT_TYPE) or 0)


async def call(url: str, callers: int) -> None:
    """Be one of the processes: call, and print when each caller was told."""
    async with ControlPlane.connect(url) as plane:

        async def wait(number: int) -> tuple[str, int, bool]:
            response = await plane.client.send_message(
                AGENT_TYPE,
                f"session-{number}",
                "hello",
                route_policy=RoutePolicy.WAKE_AND_WAIT,
                availability_timeout_ms=TIMEOUT_MS,
            )
            return response.execution_id, time.time_ns() // 1_000, response.success

        gc.freeze()
        print(json.dumps(await asyncio.gather(*map(wait, range(callers)))))


async def measure(callers: int, processes: int) -> None:
    """Do it once, and print what came of it."""
    async with (
        await EmbeddedServer.start() as server,
        ControlPlane.connect(server.url) as plane,
    ):
        alarm = Alarm(plane, callers)
        managing = asyncio.create_task(plane.manager(alarm).run())
        started = []
        for number in range(processes):
            share = callers // processes + (number < callers % processes)
            url = f"{server.url}?client_name=callers-{number}"
            command = (sys.executable, __file__, "--url", url, "--callers", str(share))
            started.append(await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE))
        outputs = await asyncio.gather(*(process.communicate() for process in started))
        managing.cancel()
        told = [line for output, _ in outputs for line in json.loads(output)]
        entries: list[Entry] = []
        while page := await plane.store.read(entries[-1].position if entries else BEGINNING, 5000):
            entries += page
        show(told, entries, alarm)


def show(told: list[tuple[str, int, bool]], entries: list[Entry], alarm: Alarm) -> None:
    """Print what was measured, and make sure that it was what it should be."""
    ready_ms = {
        entry.event.execution_id: time_ms(entry.position)
        for entry in entries
        if isinstance(entry.event, BecameReady)
    }
    requested = [time_ms(e.position) for e in entries if isinstance(e.event, Requested)]
    # A position's time is cut to the millisecond: half of one is added.
    waits = sorted(us / 1000 - ready_ms[execution_id] - 0.5 for execution_id, us, _ in told)
    first, last = min(ready_ms.values()), max(us for _, us, _ in told) / 1000
    begun = max(requested) - min(requested)
    print(
        f"{len(told):,} callers in {len(alarm.connections)} processes, all waiting after {begun} ms"
    )
    print(
        f"provider calls: {alarm.calls}; told that it was delivered: {sum(s for *_, s in told):,}"
    )
    print(f"connections of a process: {max(alarm.connections.values())}")
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"from READY to told: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {waits[-1]:.1f} ms")
    print(f"from the first READY to the last told: {last - first:.0f} ms")
    assert alarm.calls == 1, "more than one wake"
    assert all(success for *_, success in told), "not everyone was told"
    assert max(alarm.connections.values()) <= CONNECTIONS_MAX, "too many connections"


def main() -> None:
    """Read the arguments, and measure, or be one of the callers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--callers", type=int, default=10_000, help="all together")
    parser.add_argument("--processes", type=int, default=4, help="in which they wait")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        asyncio.run(call(given.url, given.callers))
    else:
        asyncio.run(measure(given.callers, given.processes))


if __name__ == "__main__":
    main()
