"""Differences are told in words, not in the server's one-letter names."""

from __future__ import annotations

from by_cp.projections.folding import fold
from by_cp.replay.drift import expected
from by_cp.replay.drift.verifying import Difference
from by_cp.replay.drift.words import NAMES, VALUE_MAX, in_words
from tests.histories.record import Recorder, tell


def test_every_field_that_a_row_can_have_has_a_name() -> None:
    """A new one would be shown by its letter."""
    recorder = Recorder()
    tell(recorder)
    views = fold(recorder.log.entries)
    seen = {view: set[str]() for view, _ in expected.keys(views)}
    for view, key in expected.keys(views):
        seen[view] |= expected.row_of(views, view, key).keys()
    assert seen.keys() <= NAMES.keys()
    nameless = {(view, name) for view, names in seen.items() for name in names - NAMES[view].keys()}
    assert nameless == set()


def test_a_row_is_one_line_and_long_values_are_cut() -> None:
    """A circuit that was struck a thousand times is no page of numbers."""
    one = Difference("circuits", "echo", {"f": ("3", "2"), "k": ("1," * 1000, "")})
    line = in_words(one, was="is")
    assert line.startswith(
        "circuits 'echo': failures is '2', must be '3'; struck_ms is '', must be"
    )
    assert line.endswith("…")
    assert len(line) < 80 + VALUE_MAX
