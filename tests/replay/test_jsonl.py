"""The log as lines of JSON."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from by_cp.errors import InvalidInput
from by_cp.log.rawlog import decoded
from by_cp.replay.jsonl import JsonLines, JsonLinesReader
from by_cp.replay.sources import Entry
from tests.replay.sqlite.test_export import EVERYTHING


def export(path: Path, entries: list[Entry]) -> None:
    """Export entries."""
    with closing(JsonLines(path)) as to:
        to.add(entries)
        to.finish()


def read(path: Path, **which: Any) -> list[Entry]:
    """Read them back."""
    return [entry for page in decoded(JsonLinesReader(path).pages(**which)) for entry in page]


def test_a_line_is_an_event(tmp_path: Path) -> None:
    """With its position, its time, whose it is, and its own fields by their names."""
    path = tmp_path / "log.jsonl"
    export(path, EVERYTHING)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["position"] for line in lines] == [position for position, _ in EVERYTHING]
    asked = next(line for line in lines if line["event"] == "Requested")
    assert asked["detail"]["call"]["user_code"] == "acme"
    assert asked["version"] == 1
    assert asked["time"].endswith("Z")
    assert "execution_id" not in next(line for line in lines if line["event"] == "QuotaSet")


def test_every_event_is_read_back_as_it_was(tmp_path: Path) -> None:
    """All of it, or what stands between two positions."""
    path = tmp_path / "log.jsonl"
    export(path, EVERYTHING)
    assert read(path) == EVERYTHING
    assert read(path, after=EVERYTHING[2][0], until=EVERYTHING[8][0]) == EVERYTHING[3:9]


@pytest.mark.parametrize("cut", [0, 1, 17, 10_000])
def test_a_line_that_was_left_half_written_is_written_again(tmp_path: Path, cut: int) -> None:
    """Wherever a crash ended it, the next export goes on behind the last whole line."""
    path = tmp_path / "log.jsonl"
    export(path, EVERYTHING)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(len(whole) - cut, 0)])
    read(path)  # a half line is passed over
    with closing(JsonLines(path)) as to:
        positions = [position for position, _ in EVERYTHING]
        known = positions.index(to.last_position) + 1
        if EVERYTHING[known:]:
            to.add(EVERYTHING[known:])
        to.finish()
    assert path.read_bytes() == whole


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing is added to it."""
    path = tmp_path / "notes.jsonl"
    path.write_text('{"a":1}\n')
    with pytest.raises(InvalidInput, match="no export"):
        JsonLines(path)
    assert path.read_text() == '{"a":1}\n'
