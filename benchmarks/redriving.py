"""How fast many dead letters are redriven, against as many plain XADDs, one awaited after another.

Run: python benchmarks/redriving.py [--count 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import time

from by_cp.control_plane import ControlPlane
from by_cp.deadletters import Progress
from by_cp.log.commands import Member, Settle
from by_cp.vocabulary import RoutePolicy

BATCH = 50


async def bury(plane: ControlPlane, count: int) -> None:
    """Let so many commands wait for one wake, which fails."""
    for first in range(0, count, 500):
        await asyncio.gather(
            *(
                plane.client.send_message(
                    "echo",
                    "session-1",
                    "hello",
                    route_policy=RoutePolicy.WAKE_AND_QUEUE,
                    execution_id=f"exec-{number}",
                )
                for number in range(first, min(first + 500, count))
            )
        )
    [signal] = await plane.store.take_signals("manager", 1, 0)
    for first in range(0, count, BATCH):
        await plane.store.execute(
            Settle(
                agent_type="echo",
                user_code="",
                region="",
                epoch=signal.epoch,
                status="FAILED",
                members=tuple(Member(f"exec-{n}") for n in range(first, min(first + BATCH, count))),
                reason="no image",
            )
        )


async def measure(count: int) -> None:
    """Print the ratio, and what was done."""
    async with ControlPlane.embedded() as plane:
        await bury(plane, count)
        await plane.store.announce("worker-1", ("echo",), 600_000)
        dry = await plane.dead_letters.redrive_many(dry_run=True)
        assert dry.progress.held == count, dry
        told: list[Progress] = []
        began_s = time.perf_counter()
        many = await plane.dead_letters.redrive_many(on_progress=told.append)
        redrive_s = time.perf_counter() - began_s
        assert many.progress == Progress(delivered=count), many
        assert len(told) == count
        again = await plane.dead_letters.redrive_many()
        assert again.progress == Progress(), again
        began_s = time.perf_counter()
        for _ in range(count):
            await plane.redis.xadd("plain", {"data": "x" * 300})
        plain_s = time.perf_counter() - began_s
    print(f"dead letters: {count:,}; counted first: {dry.progress.held:,}")
    print(f"delivered: {many.progress.delivered:,}; redriven a second time: {again.progress.done}")
    print(f"one redrive = {redrive_s / plain_s:.2f} awaited plain XADDs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    asyncio.run(measure(parser.parse_args().count))
