"""Recordings: a log is kept as a file, and every later release must read it in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.errors import DivergentHistory, InvalidInput
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.testing import record_history, replay_history, strategies
from by_cp.vocabulary import RoutePolicy
from tests.histories.record import HERE, Recorder, tell
from tests.making import make_request

Change = Callable[[list[dict[str, Any]]], None]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording of everything that can happen."""
    recorder = Recorder()
    tell(recorder)
    path = tmp_path / "history.jsonl"
    record_history(recorder.log.entries, path)
    return path


def test_a_recording_replays_to_what_was(tmp_path: Path) -> None:
    """The views are those of the log that was recorded."""
    recorder = Recorder()
    tell(recorder)
    path = tmp_path / "history.jsonl"
    assert record_history(recorder.log.entries, path) == len(recorder.log.entries)
    assert replay_history(path) == recorder.log.views


@pytest.mark.parametrize("path", sorted(HERE.glob("*.jsonl")), ids=lambda path: path.stem)
def test_golden_histories_of_every_schema_replay(path: Path) -> None:
    """What earlier releases wrote is read by this one, entry for entry."""
    replay_history(path)


def test_a_recording_is_never_overwritten(recording: Path) -> None:
    """It is what a release once wrote."""
    with pytest.raises(FileExistsError):
        record_history([], recording)


@given(st.data())
def test_any_legal_history_replays(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Whatever is in its fields."""
    history = data.draw(strategies.legal_histories())
    entries = [(f"{number}-0", event) for number, event in enumerate(history, 1)]
    path = tmp_path_factory.mktemp("recordings") / "history.jsonl"
    record_history(entries, path)
    assert len(replay_history(path).executions) == 1


def changed(recording: Path, change: Change) -> DivergentHistory:
    """Change the recording, replay it, and return how it diverges."""
    lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    change(lines)
    recording.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(DivergentHistory) as caught:
        replay_history(recording)
    return caught.value


def first(lines: list[dict[str, Any]], tag: str) -> int:
    """Return the first line of a kind."""
    return next(i for i, line in enumerate(lines) if line["tag"] == tag)


def test_an_illegal_step_is_named(recording: Path) -> None:
    """Position, both states and the rule."""

    def drop_the_hold(lines: list[dict[str, Any]]) -> None:
        del lines[first(lines, "BecameReady/1")]

    found = changed(recording, drop_the_hold)
    assert (found.recorded, found.replayed) == ("DELIVERED", "WAKING")
    assert found.rule == "Delivered is not declared from WAKING"
    assert str(found).startswith(f"at {found.position}: recorded DELIVERED, replayed WAKING: ")


def test_another_state_is_named(recording: Path) -> None:
    """A table that leads elsewhere than it did would change what became of old executions."""

    def another_end(lines: list[dict[str, Any]]) -> None:
        lines[first(lines, "Delivered/1")]["state"] = "FAILED"

    found = changed(recording, another_end)
    assert (found.recorded, found.replayed) == ("FAILED", "DELIVERED")


def test_a_field_that_changed_its_meaning_is_named(recording: Path) -> None:
    """Fields are told apart by their order alone; the recording has their names."""

    def swap(lines: list[dict[str, Any]]) -> None:
        fields = lines[first(lines, "Rejected/1")]["fields"]
        fields["code"], fields["reason"] = fields["reason"], fields["code"]

    assert changed(recording, swap).rule.startswith("its code was ")


def test_a_missing_entry_is_named(recording: Path) -> None:
    """By the version that is missing."""

    def lose_one(lines: list[dict[str, Any]]) -> None:
        del lines[first(lines, "Held/1")]

    assert "version" in changed(recording, lose_one).rule


def test_damage_is_named(recording: Path) -> None:
    """An entry that cannot be decoded."""

    def damage(lines: list[dict[str, Any]]) -> None:
        lines[3]["hex"] = "00"

    changed(recording, damage)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    """With the line that is none."""
    path = tmp_path / "notes.txt"
    path.write_text("hello", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        replay_history(path)


def test_a_real_log_is_recorded_as_it_is(tmp_path: Path) -> None:
    """An odd name, a payload with everything in it: the bytes are kept."""
    log = MemoryLog(ManualClock())
    log.execute(make_request("🦜 / :", RoutePolicy.QUEUE_ONLY, agent_type='a"b'))
    path = tmp_path / "odd.jsonl"
    record_history(log.entries, path)
    assert replay_history(path) == log.views
