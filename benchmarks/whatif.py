"""What-if over a log of a million events: how long it takes, and beside it a fold of the same log.

    python benchmarks/whatif.py

Each is a process of its own, as it is typed. The fold is `by-cp views snapshot`'s, the least that
any look at a whole log costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import traffic
from redis import Redis

from by_cp.embedded import EmbeddedServer

ASKED = {
    "unchanged policies": (),
    "--circuit-failures 1": ("--circuit-failures", "1"),
    "--quota tenant-02=0": ("--quota", "tenant-02=0"),
    "--depth agent-00=0": ("--depth", "agent-00=0"),
}


def run(*arguments: str) -> tuple[float, str]:
    """Run by-cp, and return how long it took, in seconds, and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "by_cp.cli", *arguments], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begun, done.stdout


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    options = parser.parse_args()
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            traffic.fill(client, options.events)
        with tempfile.TemporaryDirectory() as folder:
            fold_s, _ = run("views", "snapshot", str(Path(folder, "views")), "--url", server.url)
        print(f"{options.events:,} events; folding them into a snapshot took {fold_s:.1f} s")
        for name, arguments in ASKED.items():
            took_s, printed = run("whatif", *arguments, "--json", "--url", server.url)
            report = json.loads(printed)
            others = sum(found["count"] for found in report["differences"])
            print(
                f"{name:24}{took_s:>6.1f} s{took_s / fold_s:>6.1f} x  "
                f"{others:,} of {report['requests']:,} requests would have come out otherwise"
            )
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of the largest process: {peak_mb:,.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
