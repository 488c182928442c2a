"""The log as a trace for Chrome and Perfetto."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from by_cp.replay.sources import Entry
from by_cp.replay.trace import Trace
from tests.replay import example
from tests.replay.example import WAITS
from tests.replay.sqlite.test_export import EVERYTHING


def traced(path: Path, entries: list[Entry]) -> list[dict[str, Any]]:
    """Write a trace; return its records."""
    with closing(Trace(path)) as to:
        to.add(entries)
        to.finish()
    records: list[dict[str, Any]] = json.loads(path.read_bytes())["traceEvents"]
    return records


@pytest.mark.parametrize(
    "entries", [EVERYTHING, example.entries(), []], ids=["all", "some", "none"]
)
def test_what_begins_ends(tmp_path: Path, entries: list[Entry]) -> None:
    """Slices nest: each end closes the slice that was begun last, none stays open, time goes on."""
    open_slices: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    records = [r for r in traced(tmp_path / "t.json", entries) if r["ph"] in "be"]
    for record in sorted(records, key=lambda record: record["ts"]):
        life = record["pid"], record["id2"]["local"]
        if record["ph"] == "b":
            open_slices[life].append(record["name"])
        else:
            assert open_slices[life].pop() == record["name"]
    assert not any(open_slices.values())


def test_an_agent_type_is_a_process(tmp_path: Path) -> None:
    """Executions stand under their agent type, whose process has its name."""
    records = traced(tmp_path / "t.json", EVERYTHING)
    names = {r["pid"]: r["args"]["name"] for r in records if r["name"] == "process_name"}
    assert {"chat", "poet"} <= set(names.values())
    begun = [r for r in records if r["ph"] == "b" and "execution_id" in r["args"]]
    lives = {r["args"]["execution_id"]: names[r["pid"]] for r in begun}
    assert lives["released"] == "poet"
    assert lives["leads"] == "chat"


def test_states_last_as_long_as_they_did(tmp_path: Path) -> None:
    """In microseconds; what happened, and why, stands at its mark."""
    records = traced(tmp_path / "t.json", example.entries())
    life = next(r["id2"] for r in records if r["args"].get("execution_id") == WAITS)
    mine = [r for r in records if r.get("id2") == life]
    begin, end = [r["ts"] for r in mine if r["name"] == "WAKING"]
    assert round((end - begin) / 1000) == 4_004
    mark = next(r for r in mine if r["name"] == "WakeProgressed")
    assert mark["args"]["why"].startswith("pulling the image")


def test_counters_follow_the_views(tmp_path: Path) -> None:
    """How many are held and in flight, each time that it changes."""
    records = traced(tmp_path / "t.json", example.entries())
    held = [r["args"]["commands"] for r in records if r["ph"] == "C" and r["name"] == "held"]
    assert held == [1, 2, 1, 0, 1, 0, 1]
    flying = [r["args"]["commands"] for r in records if r["name"] == "in flight: acme"]
    assert flying == held


def test_an_unfinished_trace_leaves_nothing(tmp_path: Path) -> None:
    """The file that was there stays, until the next is whole."""
    path = tmp_path / "t.json"
    path.write_text("before")
    with closing(Trace(path)) as to:
        to.add(EVERYTHING)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["t.json"]
