"""--at: an execution, and what stood around it, at a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from by_cp.errors import InvalidInput
from by_cp.projections.folding import fold
from by_cp.replay import moments
from by_cp.statemachine.events import Requested
from by_cp.statemachine.position import split
from tests.replay import example
from tests.replay.example import FAILS, REFUSED, WAITS
from tests.replay.replayed import by_replay


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The example's log, as a file."""
    return str(example.written(tmp_path))


async def test_only_what_had_happened_is_shown(log: str) -> None:
    """The history ends at the moment, and so does the state."""
    done = await by_replay(WAITS, "--from", log, "--at", "2026-05-04T09:41:45Z")
    assert done.code == 0
    assert "WAKING for 'chat'" in done.output
    assert "Delivered" not in done.output
    assert max(map(len, done.output.splitlines())) <= 80


async def test_the_views_around_it_are_as_they_stood(log: str) -> None:
    """Place in pending, the wake's members, the quota in flight: of then, not of now."""
    done = await by_replay(WAITS, "--from", log, "--at", "09:41:43.2", "--json")
    around = done.json["around"]
    assert (around["held_for_agent_type"], around["place"]) == (2, 1)
    assert (around["waiting_for_wake"], around["wake_leader"]) == (2, WAITS)
    assert around["views"]["quotas"][0]["in_flight"] == 2
    assert around["views"]["executions"][0]["call"]["user_code"] == "acme"
    assert "command" not in around["views"]["pending"][0]
    assert [row["event"] for row in done.json["history"]][-1] == "WakeRequested"
    later = (await by_replay(WAITS, "--from", log, "--at", "09:41:50", "--json")).json["around"]
    assert (later["held_for_agent_type"], later["waiting_for_wake"]) == (0, 0)
    assert later["views"]["circuits"][0]["failures"] == 1


async def test_a_position_is_a_moment(log: str) -> None:
    """With it the answer is exact within a millisecond: the entry itself is the last one."""
    rows = (await by_replay(REFUSED, "--from", log, "--json")).json
    done = await by_replay(REFUSED, "--from", log, "--json", "--at", rows[0]["position"])
    assert done.json["around"]["position"] == rows[0]["position"]
    assert len(done.json["history"]) == 1


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("yesterday", "is no moment"),
        ("25:61", "is no moment"),
        ("2026-05-04T09:00", "began only at"),
        ("1-0", "began only at"),
    ],
)
async def test_what_is_no_moment_is_one_clear_line(log: str, at: str, text: str) -> None:
    """Neither is what was before the execution began."""
    done = await by_replay(WAITS, "--from", log, "--at", at)
    assert done.code == 1
    assert text in done.complaints
    assert done.complaints.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-05-04T09:41:42.5", 1_777_887_702_500),
        ("2026-05-04T09:41:42.5Z", 1_777_887_702_500),
        ("2026-05-04T11:41:42.500+02:00", 1_777_887_702_500),
        ("2026-05-04 09:41", 1_777_887_660_000),
        ("09:41:42.5", 1_777_887_702_500),
        ("2026-05-05", 1_777_939_200_000),
    ],
)
def test_times_are_read_as_people_write_them(text: str, milliseconds: int) -> None:
    """UTC unless they say otherwise; only a clock time is of the day on which it began."""
    assert split(moments.until(text, example.BEGUN_MS))[0] == milliseconds


def test_at_every_position_the_views_are_the_fold_up_to_it() -> None:
    """Whatever the position, the rows are those of a fold that ends there."""
    entries = example.entries()
    call = next(e.call for _, e in entries if isinstance(e, Requested) and e.execution_id == FAILS)
    for number in range(1, len(entries) + 1):
        stood = moments.around([entries[:number]], FAILS, call)
        views = fold(entries[:number])
        assert stood.position == entries[number - 1][0]
        assert stood.views.get("executions", []) == [
            row for row in views.executions.values() if row.execution_id == FAILS
        ]
        assert stood.views.get("quotas", []) == list(views.quotas.values())
        assert stood.held == len(views.pending)
        assert all(text for _, text in moments.told(stood))


def test_an_empty_log_has_no_moments() -> None:
    """It is said, not guessed."""
    call = next(e.call for _, e in example.entries() if isinstance(e, Requested))
    with pytest.raises(InvalidInput, match="empty"):
        moments.around([], WAITS, call)
