"""How fast a log is exported, beside what its parts could do alone, in the same run.

    python benchmarks/exporting.py          # a million events

The yardstick is sqlite-utils' `insert_all` of the same events, and of nothing else: no executions,
no views, no index, no search, nothing read from a server. "plain" is `executemany` of the same.
Rows a second are printed, too, but mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from lives import entries, fill
from redis import Redis
from sqlite_utils import Database

from by_cp.embedded import EmbeddedServer
from by_cp.log.rawlog import without_gc
from by_cp.replay.fields import detail_of
from by_cp.replay.jsonl import JsonLines
from by_cp.replay.sources import ServerSource
from by_cp.replay.sqlite.export import Export
from by_cp.replay.trace import Trace
from by_cp.statemachine.position import BEGINNING

BATCH = 10_000
COLUMNS = ("position", "event", "execution_id", "version", "cause", "detail")

Made = Callable[[Path], int]
"""Makes a file; returns how many rows are in it."""


def plain_rows(events: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the yardstick."""
    for position, event in entries(events):
        own = (event.name, event.execution_id, event.version, event.cause)
        yield position, *own, detail_of(event).decode()


def with_sqlite_utils(path: Path, rows: list[tuple[Any, ...]]) -> int:
    """Insert as sqlite-utils does."""
    database = Database(path)
    dicts = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    database["events"].insert_all(dicts, batch_size=BATCH)  # type: ignore[union-attr]
    database.close()
    return len(rows)


def with_executemany(path: Path, rows: list[tuple[Any, ...]]) -> int:
    """Insert as sqlite3 does, ten thousand a transaction."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"create table events ({', '.join(COLUMNS)})")
        for begin in range(0, len(rows), BATCH):
            with database:
                marks = ", ".join("?" * len(COLUMNS))
                database.executemany(
                    f"insert into events values ({marks})",  # noqa: S608 - marks
                    rows[begin : begin + BATCH],
                )
    return len(rows)


def exported(url: str, target: type[Export | JsonLines | Trace]) -> Made:
    """Return what exports a server's log."""

    def make(path: Path) -> int:
        with closing(ServerSource(url)) as source, closing(target(path)) as to, without_gc():
            events = 0
            for page in source.entries(BEGINNING):
                to.add(page)
                events += len(page)
            to.finish()
        return rows_in(path) if target is Export else events

    return make


def rows_in(path: Path) -> int:
    """Return how many rows all tables of a database have, the search index's own aside."""
    with closing(sqlite3.connect(path)) as database:
        tables = [
            name
            for (name,) in database.execute("select name from sqlite_schema where type = 'table'")
            if not name.startswith("events_fts")
        ]
        counts = (f"select count(*) from [{name}]" for name in tables)  # noqa: S608 - ours
        return sum(database.execute(count).fetchone()[0] for count in counts)


def measured(make: Made, path: Path) -> tuple[float, float, float]:
    """Make a file; return rows a second, seconds of CPU, and its size in MB."""
    begun, cpu = time.perf_counter(), time.process_time()
    rows = make(path)
    took_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    size_mb = path.stat().st_size / 2**20
    path.unlink()
    return rows / took_s, cpu_s, size_mb


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log")
    options = parser.parse_args()
    rows = list(plain_rows(options.events))
    async with await EmbeddedServer.start() as server:
        with Redis.from_url(server.url) as client:
            client.config_set("appendonly", "no")
            fill(client, options.events)
        makes: dict[str, Made] = {
            "sqlite-utils insert_all, events only": lambda path: with_sqlite_utils(path, rows),
            "executemany, events only": lambda path: with_executemany(path, rows),
            "by-cp log export .db": exported(server.url, Export),
            "by-cp log export .jsonl": exported(server.url, JsonLines),
            "by-cp log export .json (trace)": exported(server.url, Trace),
        }
        print(f"{options.events:,} events")
        print(f"{'':38}{'rows/s':>10}{'x insert_all':>14}{'CPU s':>8}{'MB':>7}")
        yardstick = 0.0
        with tempfile.TemporaryDirectory() as directory:
            for name, make in makes.items():
                speed, cpu_s, size_mb = measured(make, Path(directory) / "log")
                yardstick = yardstick or speed
                ratio = speed / yardstick
                print(f"{name:38}{speed:>10,.0f}{ratio:>14.2f}{cpu_s:>8.1f}{size_mb:>7,.0f}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, the yardstick's rows included: {peak_mb:,.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
