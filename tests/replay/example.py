"""A short log in which a little of everything happens, the same each time: examples are of it.

`python -m tests.replay.example` writes what the commands in docs/replay.md and docs/export.md print
into these pages; a test holds that it is there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from by_cp.log.commands import Configure, Redrive
from by_cp.replay.jsonl import JsonLines
from by_cp.replay.sources import Entry
from by_cp.statemachine.events import QuotaSet
from by_cp.vocabulary import RoutePolicy
from tests.histories.record import Recorder

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("replay.md", "export.md")
MODULES = {
    "by-replay": "by_cp.replay.command",
    "by-cp": "by_cp.cli",
    "sqlite-utils": "sqlite_utils",
}
BEGUN_MS = 1_777_887_702_000
"""2026-05-04, 09:41:42 UTC."""

WAITS = "exec-01KQS2EH8K4ZJ6T0A7Q5W3N9RX"
JOINS = "exec-01KQS2EJC0V8D2M5H1E7Y4B6KP"
REFUSED = "exec-01KQS2EJMA6C9F3W0N8X2T5VGZ"
FAILS = "exec-01KQS2ENKE1R7S4P9K3J6D8HQM"


def entries() -> list[Entry]:
    """Let it happen."""
    recorder = Recorder()
    recorder.clock.now_ms = BEGUN_MS - 60_000
    execute, request, settle = recorder.execute, recorder.request, recorder.settle
    execute(Configure(event=QuotaSet("", "acme", 2, "ops")))
    recorder.clock.now_ms = BEGUN_MS
    request(WAITS, RoutePolicy.WAKE_AND_WAIT)
    recorder.clock.advance(1_100)
    request(JOINS, RoutePolicy.WAKE_AND_QUEUE)
    recorder.clock.advance(300)
    request(REFUSED, RoutePolicy.QUEUE_ONLY)
    recorder.clock.advance(200)
    recorder.attempt("chat", WAITS, JOINS)
    recorder.clock.advance(500)
    settle("STARTING", WAITS, JOINS, reason="pulling the image")
    recorder.clock.advance(1_900)
    settle("READY", WAITS, JOINS, worker_ids=("chat-7f9c",))
    recorder.clock.advance(550)
    request(FAILS, RoutePolicy.WAKE_AND_QUEUE)
    recorder.clock.advance(10)
    recorder.attempt("chat", FAILS)
    recorder.clock.advance(2_400)
    settle("FAILED", FAILS, reason="no room: the pool gpu-a100 is full")
    recorder.clock.advance(63_000)
    execute(Redrive(execution_id=FAILS, by="ann"))
    return list(recorder.log.entries)


def written(directory: Path) -> Path:
    """Write it as an export."""
    path = directory / "log.jsonl"
    file = JsonLines(path)
    file.add(entries())
    file.finish()
    file.close()
    return path


def output(command: str, directory: Path) -> str:
    """Return what a command prints in a directory where log.jsonl is, on 80 columns."""
    name, *arguments = shlex.split(command.partition(" | ")[0])
    done = subprocess.run(
        [sys.executable, "-m", MODULES[name], *arguments],
        cwd=directory,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    head = re.search(r" \| head -(\d+)$", command)
    lines = done.stdout.splitlines(keepends=True)
    return "".join(lines[: int(head[1])] if head else lines)


_EXAMPLE = re.compile(r"(?P<fence>```\w* run\n)\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```\n")


def up_to_date(page: str) -> str:
    """Return a page with what its examples print now."""
    with tempfile.TemporaryDirectory() as directory:
        written(Path(directory))

        def run(found: re.Match[str]) -> str:
            command = found["command"]
            return f"{found['fence']}$ {command}\n{output(command, Path(directory))}```\n"

        return _EXAMPLE.sub(run, page)


def main() -> None:
    """Bring the pages up to date."""
    for name in PAGES:
        path = DOCS / name
        path.write_text(up_to_date(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
