"""A log replayed into all views, beside what reading alone takes and what `eventsourcing` does.

    python benchmarks/folding.py            # a million events

All in one process, from the server. `eventsourcing` has the same events, of the same executions, in
memory, and replays them into its aggregates; of so many as `--theirs` says, for it takes its time.
Each is measured several times, interleaved, and the median printed: ratios mean something on any
machine, events a second on an idle one only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import statistics
import time
from collections.abc import Callable
from uuid import UUID

import traffic
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from redis import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.log.rawlog import decoded, without_gc
from by_cp.log.redis.reader import LogReader
from by_cp.projections.folding import fold
from by_cp.projections.views import initial
from by_cp.statemachine.events import ExecutionEvent, Requested


class Execution(Aggregate):
    """An execution as `eventsourcing` has it: a state and a version."""

    class Began(Aggregate.Created):
        """It was requested."""

        call: str

    @event(Began)
    def __init__(self, call: str) -> None:
        self.call = call
        self.state = "Requested"

    @event("Stepped")
    def step(self, name: str, cause: str) -> None:
        """Go on."""
        self.state = name
        self.cause = cause


def theirs(count: int) -> Callable[[], int]:
    """Put events into an application of `eventsourcing`; return what replays them all."""
    application: Application[UUID] = Application()
    ids: list[UUID] = []
    left = count
    for number in itertools.count():
        history = traffic.execution(number)[:left]
        aggregate: Execution | None = None
        for one in history:
            if isinstance(one, Requested):
                aggregate = Execution(call=repr(one.call))
            elif aggregate is not None and isinstance(one, ExecutionEvent):
                aggregate.step(name=one.name, cause=one.cause)
        if aggregate is not None:
            application.save(aggregate)
            ids.append(aggregate.id)
        left -= len(history)
        if left <= 0:
            break

    def replay() -> int:
        return sum(application.repository.get(one).version for one in ids)

    return replay


def ours(log: LogReader, *, lean: bool) -> int:
    """Replay the log into all views."""
    views, folded = initial(), 0
    for page in decoded(log.pages()):
        fold(page, views, keep=() if lean else None)
        folded += len(page)
    return folded


def per_second(read: Callable[[], int], events: int) -> float:
    """Return how many events a second are replayed."""
    begun = time.perf_counter()
    with without_gc():
        assert read() == events
    return events / (time.perf_counter() - begun)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    parser.add_argument("--theirs", type=int, default=20_000, help="events that eventsourcing has")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each")
    options = parser.parse_args()
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            traffic.fill(client, options.events)
        log = LogReader(server.url)
        replay = theirs(options.theirs)
        reads: dict[str, tuple[Callable[[], int], int]] = {
            "eventsourcing": (replay, options.theirs),
            "reading, undecoded": (lambda: sum(map(len, log.pages())), options.events),
            "reading and decoding": (lambda: sum(map(len, decoded(log.pages()))), options.events),
            "into all views, lean": (lambda: ours(log, lean=True), options.events),
            "into all views": (lambda: ours(log, lean=False), options.events),
        }
        speeds: dict[str, list[float]] = {name: [] for name in reads}
        grown: dict[str, float] = {}
        for _ in range(options.rounds):
            for name, (read, events) in reads.items():
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                speeds[name].append(per_second(read, events))
                after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                grown.setdefault(name, (after - before) / 1024)
    print(f"{options.events:,} events; median of {options.rounds}")
    print(f"{'':24}{'x eventsourcing':>16}{'x reading':>11}{'events/s':>12}{'memory':>12}")
    yardstick = statistics.median(speeds["eventsourcing"])
    reading = statistics.median(speeds["reading, undecoded"])
    for name, found in speeds.items():
        speed = statistics.median(found)
        print(
            f"{name:24}{speed / yardstick:>16.1f}{speed / reading:>11.2f}{speed:>12,.0f}"
            f"{grown[name]:>+9,.0f} MB"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory: what each added to this process's peak, which is {peak_mb:,.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
