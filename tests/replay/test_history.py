"""Histories as rows: what happened, from which state to which, and why."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from rich.cells import cell_len

from by_cp.log.commands import Configure, GiveUp, Redrive
from by_cp.log.contract import Entry
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.manager.controller import WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.replay.durations import lasting, short
from by_cp.replay.history import History, Row, history, summary
from by_cp.replay.printing import show
from by_cp.replay.terminal import wrapped
from by_cp.replay.words import Context, Told, tell
from by_cp.statemachine.events import ExecutionEvent, Held, QuotaSet, Requested
from by_cp.testing.strategies import histories_with_one_illegal_step, legal_histories
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.making import make_call
from tests.manager.providers import Answering, Starting


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    """An empty store on that clock."""
    return MemoryStore(clock)


async def rows_of(store: MemoryStore, execution_id: str) -> tuple[Row, ...]:
    """The rows of an execution."""
    return (await told(store, execution_id)).rows


async def told(store: MemoryStore, execution_id: str) -> History:
    """The history of an execution."""
    return history(await store.history(execution_id))


def printed(shown: History, width: int = 80) -> str:
    """The table as it is printed."""
    output = io.StringIO()
    show(shown, output, width)
    return output.getvalue()


async def test_a_wake_is_told_from_end_to_end(store: MemoryStore, clock: ManualClock) -> None:
    """States, times, evidence, the wake's group, who led it and who decided are all there."""
    waits = await ask(store, "poet", RoutePolicy.WAKE_AND_WAIT, user_code="acme", priority=5)
    clock.advance(1_250)
    joins = await ask(store, "poet", user_code="acme")
    provider = Starting(store, "STARTING")
    await WakeupController(store, provider, consumer="manager-1").run_once()
    leader = await told(store, waits.execution_id)
    by_event = {row.event: row for row in leader.rows}
    asked, ready = by_event["Requested"], by_event["BecameReady"]
    assert (asked.before, asked.after, asked.since_ms) == ("", "REQUESTED", 0)
    assert (ready.before, ready.after) == ("WAKING", "READY")
    assert sum(row.since_ms for row in leader.rows) == leader.took_ms == 1_250
    assert asked.did == (
        "client asks for 'poet' by WAKE_AND_WAIT",
        "tenant 'acme', priority 5, waits 30 s",
    )
    assert asked.why == (
        "circuit CLOSED",
        "quota used: 0, no limit",
        "no worker online of 0 registered",
    )
    assert by_event["Held"].did[1] == "the caller waits 30 s"
    assert by_event["Held"].payload_bytes > 0
    wake = by_event["WakeRequested"]
    assert wake.did == ("leads the wake of 'poet', tenant 'acme'", "claimed for 30 s")
    assert ready.did == ("ready: woken",)
    assert "online: worker-of-poet" in ready.why
    assert "decided by manager-1" in ready.why
    assert summary(leader) == "DELIVERED to 'poet' after 1.25 s"
    joined = (await rows_of(store, joins.execution_id))[2]
    assert joined.did == (
        f"joins the wake {wake.position} of 'poet', tenant 'acme'",
        f"led by {waits.execution_id}",
    )
    attempt = by_event["WakeAttempted"]
    assert attempt.did == (
        f"the provider is asked, attempt 1 of the wake {wake.position}",
        "it may take 30 s",
    )
    assert f"epoch {attempt.position}" in ready.why


async def test_a_rejection_says_why(store: MemoryStore) -> None:
    """The quota, used and limit, stands in the evidence and in the reason."""
    await store.execute(Configure(event=QuotaSet("", "acme", 1)))
    await ask(store, "a", RoutePolicy.QUEUE_ONLY, user_code="acme")
    refused = await ask(store, "a", RoutePolicy.QUEUE_ONLY, user_code="acme")
    requested, rejected = await rows_of(store, refused.execution_id)
    assert "quota used: 1 of 1" in requested.why
    assert rejected.did[0] == "TENANT_QUOTA_EXCEEDED"
    assert rejected.why[0] == "tenant quota exceeded: 1 of 1 in flight"


async def test_failures_and_second_lives_are_told(store: MemoryStore, clock: ManualClock) -> None:
    """A failed wake, its dead letter, and the redrive of it by someone."""
    receipt = await ask(store, "a")
    provider = Answering({"status": "FAILED", "reason": "no room"})
    await WakeupController(store, provider, consumer="m").run_once()
    clock.advance(90_000)
    await store.execute(Redrive(execution_id=receipt.execution_id, by="ann"))
    by_event = {row.event: row for row in await rows_of(store, receipt.execution_id)}
    assert by_event["Failed"].why[0] == by_event["DeadLettered"].why[0] == "no room"
    assert by_event["Redriven"].did == ("given another life",)
    assert by_event["Redriven"].why == ("decided by ann",)
    assert by_event["Redriven"].since_ms == 90_000


async def test_other_ends_are_told(store: MemoryStore) -> None:
    """A caller that gives up, a release by a gate, a send without a look."""
    waits = await ask(store, "a", RoutePolicy.WAKE_AND_WAIT)
    await store.execute(GiveUp(execution_id=waits.execution_id, reason="no patience"))
    queued = await ask(store, "b", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("b",), 60_000)
    await DeliveryGate(store, by="gate-1").run_once()
    sent = await ask(store, "c", RoutePolicy.SEND_ANYWAY)
    last = [(await rows_of(store, r.execution_id))[-1] for r in (waits, queued, sent)]
    assert last[0].did == ("AGENT_TYPE_UNAVAILABLE",)
    assert last[0].why == ("no patience", "decided by caller")
    assert last[1].did == ("into the control stream of 'b'",)
    ready = [(await rows_of(store, r.execution_id))[-2] for r in (queued, sent)]
    assert ready[0].did == ("ready: a worker is online",)
    assert ready[0].why == ("decided by gate-1",)
    assert ready[1].did == ("ready: sent without looking whether anyone is online",)


async def test_the_payload_is_shown_when_asked_for(store: MemoryStore) -> None:
    """Without it a history has only the command's size."""
    receipt = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    entries = await store.history(receipt.execution_id)
    text = entries[1].event.command  # type: ignore[attr-defined]
    without, with_it = (history(entries, payload=p).rows[1] for p in (False, True))
    assert text not in json.dumps(without.as_json(), ensure_ascii=False)
    assert without.payload_bytes == len(text.encode())
    assert with_it.payload == with_it.fields["command"] == text


async def test_a_missing_entry_shows(store: MemoryStore) -> None:
    """A gap in the versions is a broken history, even where the states would allow it."""
    receipt = await ask(store, "a")
    entries = await store.history(receipt.execution_id)
    gap = history([entries[0], entries[2]])
    assert gap.broken
    assert gap.rows[1].broken == "it is version 3, and the one before is 1"
    assert "AGAINST THE LAW" in printed(gap)


def test_an_event_without_words_is_told_by_its_fields() -> None:
    """An event that came later is shown with what it holds, and its reasons like any other."""

    class Postponed(ExecutionEvent, array_like=True, frozen=True, tag="Postponed/1"):
        until_ms: int
        nothing: str = ""
        reason: str = ""
        by: str = ""

    event = Postponed("e", 1, "c", 5_000, reason="it rains", by="ann")
    assert tell(event, Context(0)) == Told(("until 5 s",), ("it rains", "decided by ann"))


def entries_of(events: list[ExecutionEvent]) -> list[Entry]:
    """Events with positions."""
    return [Entry(f"{number}-0", event) for number, event in enumerate(events, 1)]


@given(legal_histories())
def test_legal_histories_are_read_without_complaint(events: list[ExecutionEvent]) -> None:
    """Whatever is legal is shown as legal, fits into 80 columns, and is JSON."""
    legal = history(entries_of(events), payload=True)
    assert not legal.broken
    text = printed(legal)
    assert max(map(cell_len, text.split("\n"))) <= 80
    assert "\x1b" not in text
    json.dumps([row.as_json() for row in legal.rows])


@given(histories_with_one_illegal_step())
def test_the_illegal_step_is_shown(broken: tuple[list[ExecutionEvent], int]) -> None:
    """Up to the illegal step all is legal; the step itself is marked."""
    events, index = broken
    illegal = history(entries_of(events))
    assert [bool(row.broken) for row in illegal.rows[: index + 1]] == [False] * index + [True]
    assert "AGAINST THE LAW" in printed(illegal, width=120)


@given(legal_histories())
def test_a_narrow_terminal_breaks_the_rows(events: list[ExecutionEvent]) -> None:
    """At 40 columns an event takes two lines, and nothing stands over the edge."""
    lines = printed(history(entries_of(events)), width=40).split("\n")
    assert max(map(cell_len, lines)) <= 40


async def test_nothing_in_a_history_reaches_the_terminal_as_an_order(store: MemoryStore) -> None:
    """Control characters in a provider's reason are shown, not obeyed."""
    receipt = await ask(store, "a")
    provider = Answering({"status": "FAILED", "reason": "\x1b]0;owned\x07 \u202e[red]\ntwo"})
    await WakeupController(store, provider).run_once()
    text = printed(await told(store, receipt.execution_id))
    assert "\\x1b]0;owned\\x07 \\u202e[red]\\ntwo" in text


def test_another_day_is_said() -> None:
    """Times are without their day, so the day stands where it changes."""
    held = Held("e", 2, "c", "{}", 0, 0)
    entries = [("86399999-0", Requested("e", 1, "c", make_call())), ("86400001-0", held)]
    text = printed(history(entries))
    assert "begun 1970-01-01" in text
    assert text.index("23:59:59.999") < text.index("— 1970-01-02 —") < text.index("00:00:00.001")


@pytest.mark.parametrize(
    ("milliseconds", "text", "narrow"),
    [
        (0, "0 ms", "0 ms"),
        (999, "999 ms", "999 ms"),
        (1_000, "1 s", "1 s"),
        (1_250, "1.25 s", "1.25 s"),
        (59_999, "1 min", "1m"),
        (125_000, "2 min 5 s", "2m05s"),
        (3_600_000, "1 h", "1h"),
        (12_000_000, "3 h 20 min", "3h20m"),
        (604_800_000, "7 d", "7d"),
    ],
)
def test_durations(milliseconds: int, text: str, narrow: str) -> None:
    """Durations are said in the two units that matter, and shorter where there is no room."""
    assert lasting(milliseconds) == text
    assert short(milliseconds) == narrow


def test_a_number_and_its_unit_stay_together() -> None:
    """A line is never broken between them."""
    assert list(wrapped("it waits 30 s and then 5 min more", 11)) == [
        *("it waits", "30 s and", "then 5 min", "more")
    ]


def test_what_is_wider_than_a_line_is_broken() -> None:
    """Cells count, not characters."""
    assert list(wrapped("智能体🦜ab", 4)) == ["智能", "体🦜", "ab"]
