"""Views verified, lost, and rebuilt while a writer appends: how fast, and whom it holds up.

    python benchmarks/rebuilding.py            # a million events

A process of its own sends one command after the other and takes each one's time: first with
nothing else going on, then while all rows are rebuilt from the log into an empty server, then while
they are verified again and again. The server's own slow log says how long any one command kept it
busy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import traffic
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from by_cp.adapters import live_rows_at, raw_log_at
from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys
from by_cp.log.commands import Request
from by_cp.log.commandtext import cut
from by_cp.log.rawlog import without_gc
from by_cp.log.redis.store import RETENTION_MS, RedisStore
from by_cp.replay.drift.checking import Start, Watch, check, prepare
from by_cp.replay.drift.rebuilding import rebuild
from by_cp.replay.snapshot import digest
from by_cp.statemachine.events import Call
from by_cp.vocabulary import RoutePolicy

PAUSE_S = 0.002
BUSY_S = 5.0


async def write(url: str) -> None:
    """Append, one command after the other, until stdin ends; print how long each took, in ms."""
    loop, times, number = asyncio.get_running_loop(), [], 0
    ended = loop.run_in_executor(None, sys.stdin.read)
    async with AsyncRedis.from_url(url) as client:
        store = RedisStore(client)
        while not ended.done():
            number += 1
            policy = RoutePolicy.QUEUE_ONLY if number % 4 == 0 else RoutePolicy.FAIL_FAST
            agent_type = f"agent-{number % traffic.AGENTS:02}"
            call = Call(
                *(agent_type, f"tenant-{number % traffic.TENANTS:02}", "eu", policy, 0, 30_000),
                *("session-1", "trace-1", "message-1", "client"),
            )
            command = cut({"action_type": "ASK_AGENT", "header": {}, "body": {}}, agent_type)
            execution_id = f"busy-{time.time_ns()}"
            begun = time.perf_counter()
            await store.execute(Request(execution_id=execution_id, call=call, command=command))
            times.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(PAUSE_S)
    print(json.dumps(sorted(times)))


def busy(client: Redis, url: str, name: str, work: Callable[[], None]) -> None:
    """Do something while the writer appends, and print what it says."""
    client.config_set("slowlog-log-slower-than", 1000)
    client.slowlog_reset()
    command = [sys.executable, __file__, "--write", url]
    with subprocess.Popen(  # noqa: S603 - it is this file
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        time.sleep(1)
        begun = time.perf_counter()
        work()
        took_s = time.perf_counter() - begun
        out, _ = writer.communicate("")
    times = json.loads(out)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    slowest: list[dict[str, int]] = client.slowlog_get(128)
    longest = max((entry["duration"] for entry in slowest), default=0) / 1000
    print(
        f"{name:22}{took_s:>7.1f} s {len(times):>8,} appends: p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
        f"max {times[-1]:.1f} ms; longest command on the server {longest:.1f} ms"
    )


def rebuilt(url: str) -> None:
    """Put everything right, and say how much that was."""
    log, live = raw_log_at(url), live_rows_at(url)
    with without_gc():
        folding, names = prepare(log, log, live, Start(), Watch(), lean=False)
        done = rebuild(folding, names, live, log, retention_ms=RETENTION_MS)
    print(f"{len(done.changed):,} rows put right, {done.left} left")


def verified(url: str, seconds: float = 0.0) -> None:
    """Compare everything, again and again for so long."""
    log, live = raw_log_at(url), live_rows_at(url)
    runs, differ, begun = 0, 0, time.perf_counter()
    while not runs or time.perf_counter() - begun < seconds:
        with without_gc():
            verdict = check(log, log, live)
        runs, differ = runs + 1, differ + len(verdict.differences)
    took_s = (time.perf_counter() - begun) / runs
    print(
        f"verified {runs} times: {verdict.events:,} events, {verdict.rows:,} rows, "
        f"{took_s:.2f} s each; {differ} differences"
    )


async def hashes(url: str) -> tuple[str, str]:
    """Return a hash of the live views, and one of the folded."""
    async with AsyncRedis.from_url(url) as client:
        there = await RedisStore(client).views()
    log, live = raw_log_at(url), live_rows_at(url)
    folding, _ = prepare(log, log, live, Start(), Watch())
    return digest(there), digest(folding.views)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    parser.add_argument("--busy-s", type=float, default=BUSY_S, help="time of each measurement")
    parser.add_argument("--hash", action="store_true", help="compare hashes of all views, too")
    parser.add_argument("--write", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        await write(options.write)
        return
    async with await EmbeddedServer.start() as server:
        url = server.url
        with Redis.from_url(url) as client:
            client.config_set("appendonly", "no")
            traffic.fill(client, options.events)
            print(f"{options.events:,} events, and a server that has nothing but its log")
            busy(client, url, "nothing else", lambda: time.sleep(options.busy_s))
            busy(client, url, "while rebuilding", lambda: rebuilt(url))
            verified(url)
            busy(client, url, "while verifying", lambda: verified(url, options.busy_s))
            name = RedisKeys.view_quota("tenant-07")
            client.hset(name, "l", 1)
            rebuilt(url)
        if options.hash:
            there, folded = await hashes(url)
            print(f"live   {there}\nfolded {folded}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak_mb:,.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
