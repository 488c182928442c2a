"""How fast the log is read: raw, decoded, and as redis-py reads it, in the same run.

    python benchmarks/reading.py            # a million events

Every figure is a ratio to redis-py's XRANGE (pages of 10,000), measured right before it; each is
taken several times, interleaved, and the median printed. Events a second are printed too, but mean
something on an idle machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import Callable

from redis import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys
from by_cp.log.rawlog import PAGE, decoded, without_gc
from by_cp.log.redis.reader import LogReader
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Call, Delivered, Evidence, Requested
from by_cp.vocabulary import RoutePolicy

BATCH = 5000
LONG_PAGE = 10_000

Read = Callable[[], int]


def fill(client: Redis, events: int) -> None:
    """Put executions of two events each into the log."""
    call = Call(
        *("summarizer", "acme", "eu", RoutePolicy.FAIL_FAST, 0, 30_000),
        *("session-1", "trace-1", "message-1", "client"),
    )
    for begin in range(0, events, BATCH):
        pipeline = client.pipeline(transaction=False)
        for number in range(begin, min(begin + BATCH, events), 2):
            execution_id, cause = f"exec-{number:032x}", f"{number:016x}"
            evidence = Evidence("CLOSED", 1, -1, 1, 3)
            for event in (
                Requested(execution_id, 1, cause, call, evidence),
                Delivered(execution_id, 2, cause, "summarizer"),
            ):
                pipeline.xadd(RedisKeys.log(), {"e": CODEC.encode(event)})
        pipeline.execute()


def with_redis_py(client: Redis) -> int:
    """Read as redis-py does: one page after the other, each entry made a tuple with a dict."""
    read, start = 0, "-"
    while page := client.xrange(RedisKeys.log(), start, "+", LONG_PAGE):
        read += len(page)
        start = f"({page[-1][0].decode()}"
    return read


def measured(client: Redis, log: LogReader) -> dict[str, Read]:
    """Return what is measured."""

    def raw() -> int:
        return sum(len(page) for page in log.pages())

    def to_events(count: int = PAGE) -> int:
        return sum(len(page) for page in decoded(log.pages(count=count)))

    def resting(read: Read) -> Read:
        def reading() -> int:
            with without_gc():
                return read()

        return reading

    return {
        "redis-py XRANGE, without gc": resting(lambda: with_redis_py(client)),
        "LogReader": raw,
        "LogReader, without gc": resting(raw),
        "LogReader and decode": to_events,
        "LogReader and decode, without gc": resting(to_events),
        f"the same, pages of {LONG_PAGE:,}": resting(lambda: to_events(LONG_PAGE)),
    }


def per_second(read: Read, events: int) -> float:
    """Return how many events a second are read."""
    begun = time.perf_counter()
    assert read() == events
    return events / (time.perf_counter() - begun)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    options = parser.parse_args()
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            fill(client, options.events)
            reads = measured(client, LogReader(server.url))
            plain: list[float] = []
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in reads}
            for _ in range(options.rounds):
                for name, read in reads.items():
                    yardstick = per_second(lambda: with_redis_py(client), options.events)
                    speed = per_second(read, options.events)
                    plain.append(yardstick)
                    figures[name].append((speed / yardstick, speed))
    print(f"{options.events:,} events; LogReader's pages: {PAGE:,}; median of {options.rounds}")
    print(f"{'':36}{'x redis-py':>12}{'events/s':>14}")
    print(f"{'redis-py XRANGE':36}{1:>12.1f}{statistics.median(plain):>14,.0f}")
    for name, found in figures.items():
        ratio = statistics.median(ratio for ratio, _ in found)
        speed = statistics.median(speed for _, speed in found)
        print(f"{name:36}{ratio:>12.1f}{speed:>14,.0f}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak_mb:,.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
