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
import time

from lives import fill
from redis import Redis

from by_cp.embedded import EmbeddedServer

ENTRY = "import sys; from by_cp.replay.command import entry; sys.exit(entry())"


def took_ms(*command: str) -> float:
    """Return how long a process took."""
    begun = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own
        [sys.executable, *command], stdout=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - begun) * 1000


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    parser.add_argument("--rounds", type=int, default=21, help="measurements of each")
    options = parser.parse_args()
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            execution_id, _ = fill(client, options.events)[-777]
        by_replay = ("-c", ENTRY, "--url", server.url)
        commands = {
            "python -c pass": ("-c", "pass"),
            "python -c 'import msgspec'": ("-c", "import msgspec"),
            "by-replay ID": (*by_replay, execution_id),
            "by-replay ID --json": (*by_replay, execution_id, "--json"),
            "by-replay ID --mermaid": (*by_replay, execution_id, "--mermaid"),
            "by-replay BEGINNING-OF-ID": (*by_replay, execution_id[:-6]),
            "by-replay MESSAGE-ID": (*by_replay, f"msg-{100:032x}"),
        }
        figures: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name, command in commands.items():
                if number == 0 or "MESSAGE" not in name:  # that one reads all of the log
                    figures[name].append(took_ms(*command))
        start = statistics.median(figures["python -c pass"])
        print(f"{options.events:,} events; Python starts in {start:.1f} ms")
        for name, found in list(figures.items())[1:]:
            median, least = statistics.median(found), min(found)
            print(f"{name:30}{median - start:>10.1f} ms{least - start:>10.1f} ms at best")


if __name__ == "__main__":
    asyncio.run(main())
