"""How soon by-replay answers, beyond the start of the interpreter, in a log of a million events.

    python benchmarks/replaying.py

Each is a process of its own, as it is typed; the median of many, the start of Python (`pass`)
measured in turn with them and taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice

from lives import entries, fill
from redis import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys
from by_cp.statemachine.codec import CODEC

BY_CP = ("-m", "by_cp.cli")
ENTRY = "import sys; from by_cp.replay.command import entry; sys.exit(entry())"


END = "2100-01-01"
WHOLE_LOG = {"by-replay MESSAGE-ID", "by-replay ID --at END"}
"""They read all of the log: once is enough."""


def took_ms(*command: str) -> float:
    """Return how long a process took."""
    begun = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own
        [sys.executable, *command], stdout=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - begun) * 1000


def grow(client: Redis, events: int) -> None:
    """Let a log of so many events be longer by a hundredth of them."""
    pipeline = client.pipeline(transaction=False)
    for position, event in islice(entries(events + events // 100), events, None):
        pipeline.xadd(RedisKeys.log(), {"e": CODEC.encode(event)}, id=position)
    pipeline.execute()


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    parser.add_argument("--rounds", type=int, default=21, help="measurements of each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as snapshots:
        await measure(options, snapshots)


async def measure(options: argparse.Namespace, snapshots: str) -> None:
    """Measure and print."""
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            execution_id, _ = fill(client, options.events)[-777]
        took_ms(*BY_CP, "views", "snapshot", snapshots, "--url", server.url)
        with Redis.from_url(server.url) as client:
            grow(client, options.events)
        by_replay = ("-c", ENTRY, "--url", server.url)
        commands = {
            "python -c pass": ("-c", "pass"),
            "python -c 'import msgspec'": ("-c", "import msgspec"),
            "by-replay ID": (*by_replay, execution_id),
            "by-replay ID --json": (*by_replay, execution_id, "--json"),
            "by-replay ID --mermaid": (*by_replay, execution_id, "--mermaid"),
            "by-replay BEGINNING-OF-ID": (*by_replay, execution_id[:-6]),
            "by-replay ID --at END": (*by_replay, execution_id, "--at", END),
            "the same with --snapshots": (
                *(*by_replay, execution_id, "--at", END, "--snapshots", snapshots),
            ),
            "by-replay MESSAGE-ID": (*by_replay, f"msg-{100:032x}"),
        }
        figures: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name, command in commands.items():
                if number == 0 or name not in WHOLE_LOG:
                    figures[name].append(took_ms(*command))
        start = statistics.median(figures["python -c pass"])
        print(f"{options.events:,} events; Python starts in {start:.1f} ms")
        for name, found in list(figures.items())[1:]:
            median, least = statistics.median(found), min(found)
            print(f"{name:30}{median - start:>10.1f} ms{least - start:>10.1f} ms at best")


if __name__ == "__main__":
    asyncio.run(main())
