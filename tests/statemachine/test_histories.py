"""Recorded histories: what an earlier release wrote, this one reads and understands the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from by_cp.projections.folding import fold
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import EVENTS, Event, tag_of
from by_cp.statemachine.position import Position
from by_cp.statemachine.upcast import UPCASTERS
from by_cp.testing.histories import still_says
from tests.histories.record import Recorder, plain, tell, views_of

HISTORIES = sorted((Path(__file__).parent.parent / "histories").glob("*.jsonl"))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The entries of a recorded history, without the line that says what it is."""
    about, *lines = path.read_text(encoding="utf-8").splitlines()
    assert "about" in json.loads(about)
    return [json.loads(line) for line in lines]


def entries_of(path: Path) -> list[tuple[Position, Event]]:
    """A recorded history, decoded by this release."""
    return [(line["position"], CODEC.decode(bytes.fromhex(line["hex"]))) for line in lines_of(path)]


def test_every_schema_version_is_recorded() -> None:
    """No event, of today or of earlier, without bytes that prove that it can be read."""
    recorded = {line["tag"] for path in HISTORIES for line in lines_of(path)}
    assert recorded == {tag_of(event_type) for event_type in (*EVENTS, *UPCASTERS)}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_recorded_bytes_mean_what_they_meant(path: Path) -> None:
    """Field by field: the order of fields is the schema, and two texts are easily swapped."""
    for line in lines_of(path):
        event = CODEC.decode(bytes.fromhex(line["hex"]))
        if tag_of(type(event)) != line["tag"]:  # upcast; its upcaster's own test says how
            continue
        now = {name: msgspec.to_builtins(value) for name, value in structs.asdict(event).items()}
        assert still_says(now, line["fields"])


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_recorded_histories_fold_to_what_they_said(path: Path) -> None:
    """The views that a release folds from an old log are those that the old release had."""
    recorded = json.loads(path.with_suffix(".views.json").read_text(encoding="utf-8"))
    folded = plain(fold(entries_of(path)))
    for view, rows in recorded.items():
        assert folded[view].keys() == rows.keys()
        for key, row in rows.items():
            assert still_says(folded[view][key], row), f"{view}[{key!r}]"


def test_what_is_recorded_is_what_the_recorder_tells() -> None:
    """The newest history is what this release writes, so the recorder is not a dead file."""
    recorder = Recorder()
    tell(recorder)
    assert entries_of(HISTORIES[-1]) == recorder.log.entries
    assert HISTORIES[-1].with_suffix(".views.json").read_text("utf-8") == views_of(
        recorder.log.views
    )
