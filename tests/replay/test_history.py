"""Histories as rows: what happened, from which state to which, and why."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.console import Console

from by_cp.log.commands import Configure, GiveUp, Redrive
from by_cp.log.contract import Entry
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.manager.controller import WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.replay.history import Row, rows, summary
from by_cp.replay.printing import table
from by_cp.replay.words import lasting
from by_cp.statemachine.events import ExecutionEvent, QuotaSet
from by_cp.testing.strategies import histories_with_one_illegal_step, legal_histories
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.manager.providers import Answering, Starting


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    """An empty store on that clock."""
    return MemoryStore(clock)


async def history(store: MemoryStore, execution_id: str) -> list[Row]:
    """The rows of an execution."""
    return rows(await store.history(execution_id))


def printed(history: list[Row], width: int = 80) -> str:
    """The table as it is printed."""
    output = io.StringIO()
    Console(width=width, file=output).print(table("exec-1", history))
    return output.getvalue()


async def test_a_wake_is_told_from_end_to_end(store: MemoryStore, clock: ManualClock) -> None:
    """States, times, evidence, who led and who decided are all there."""
    waits = await ask(store, "poet", RoutePolicy.WAKE_AND_WAIT, user_code="acme", priority=5)
    clock.advance(1_250)
    joins = await ask(store, "poet", user_code="acme")
    provider = Starting(store, "STARTING")
    await WakeupController(store, provider, consumer="manager-1").run_once()
    told = await history(store, waits.execution_id)
    assert [(row.event, row.before, row.after) for row in told] == [
        ("Requested", "", "REQUESTED"),
        ("Held", "REQUESTED", "REQUESTED"),
        ("WakeRequested", "REQUESTED", "WAKING"),
        ("WakeAttempted", "WAKING", "WAKING"),
        ("WakeProgressed", "WAKING", "WAKING"),
        ("BecameReady", "WAKING", "READY"),
        ("Delivered", "READY", "DELIVERED"),
    ]
    assert [row.since_ms for row in told] == [0, 0, 0, 1_250, 0, 0, 0]
    assert told[0].detail == (
        "client asks for 'poet' by WAKE_AND_WAIT",
        "tenant 'acme', priority 5, waits 30 s",
        "circuit CLOSED, quota used: 0, no limit",
        "no worker online of 0 registered",
    )
    assert told[1].detail[0].endswith(" bytes; caller waits 30 s")
    assert told[2].detail == ("leads a wake, claimed for 30 s",)
    assert told[3].detail == (
        f"attempt 1 of wake {told[2].position}; it may take 30 s",
        "by manager-1",
    )
    assert told[5].detail == (
        "woken",
        "online: worker-of-poet",
        f"wake {told[3].position}",
        "by manager-1",
    )
    assert summary(told) == "DELIVERED for 'poet' after 1.25 s, begun 2023-11-14T22:13:20.000Z"
    joined = (await history(store, joins.execution_id))[2]
    assert joined.detail == (f"joins wake {told[2].position}, led by {waits.execution_id}",)


async def test_a_rejection_says_why(store: MemoryStore) -> None:
    """The quota, used and limit, stands in the evidence and in the reason."""
    await store.execute(Configure(event=QuotaSet("", "acme", 1)))
    await ask(store, "a", RoutePolicy.QUEUE_ONLY, user_code="acme")
    refused = await ask(store, "a", RoutePolicy.QUEUE_ONLY, user_code="acme")
    requested, rejected = await history(store, refused.execution_id)
    assert "circuit CLOSED, quota used: 1 of 1" in requested.detail
    assert rejected.detail == (
        "TENANT_QUOTA_EXCEEDED: tenant quota exceeded: 1 of 1 in flight",
        "try again in 1 s",
    )


async def test_failures_and_second_lives_are_told(store: MemoryStore, clock: ManualClock) -> None:
    """A failed wake, its dead letter, and the redrive of it by someone."""
    receipt = await ask(store, "a")
    provider = Answering({"status": "FAILED", "reason": "no room"})
    await WakeupController(store, provider, consumer="m").run_once()
    clock.advance(90_000)
    await store.execute(Redrive(execution_id=receipt.execution_id, by="ann"))
    told = {row.event: row for row in await history(store, receipt.execution_id)}
    assert told["Failed"].detail[0] == told["DeadLettered"].detail[0] == "no room"
    assert told["Redriven"].detail == ("given another life", "by ann")
    assert told["Redriven"].since_ms == 90_000


async def test_other_ends_are_told(store: MemoryStore) -> None:
    """A caller that gives up, a release by a gate, a send without a look."""
    waits = await ask(store, "a", RoutePolicy.WAKE_AND_WAIT)
    await store.execute(GiveUp(execution_id=waits.execution_id, reason="no patience"))
    queued = await ask(store, "b", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("b",), 60_000)
    await DeliveryGate(store, by="gate-1").run_once()
    sent = await ask(store, "c", RoutePolicy.SEND_ANYWAY)
    last = [(await history(store, r.execution_id))[-1] for r in (waits, queued, sent)]
    assert last[0].detail == ("AGENT_TYPE_UNAVAILABLE: no patience", "by caller")
    assert last[1].detail == ("into the control stream of 'b'",)
    ready = [(await history(store, r.execution_id))[-2] for r in (queued, sent)]
    assert ready[0].detail == ("a worker is online", "by gate-1")
    assert ready[1].detail == ("sent without looking whether anyone is online",)


async def test_the_payload_is_shown_when_asked_for(store: MemoryStore) -> None:
    """Without it a history has only the command's size."""
    receipt = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    entries = await store.history(receipt.execution_id)
    text = entries[1].event.command  # type: ignore[attr-defined]
    without, with_it = rows(entries)[1], rows(entries, payload=True)[1]
    assert text not in json.dumps(without.as_json(), ensure_ascii=False)
    assert with_it.detail[-1] == with_it.fields["command"] == text


async def test_a_missing_entry_shows(store: MemoryStore) -> None:
    """A gap in the versions is a broken history, even where the states would allow it."""
    receipt = await ask(store, "a")
    entries = await store.history(receipt.execution_id)
    told = rows([entries[0], entries[2]])
    assert told[1].broken == "it is version 3, and the one before is 1"
    assert "AGAINST THE LAW" in printed(told)


def entries_of(events: list[ExecutionEvent]) -> list[Entry]:
    """Events with positions."""
    return [Entry(f"{number}-0", event) for number, event in enumerate(events, 1)]


@given(legal_histories())
def test_legal_histories_are_read_without_complaint(events: list[ExecutionEvent]) -> None:
    """Whatever is legal is shown as legal, fits into 80 columns, and is JSON."""
    told = rows(entries_of(events), payload=True)
    assert not any(row.broken for row in told)
    text = printed(told)
    assert max(map(cell_len, text.split("\n"))) <= 80
    assert "\x1b" not in text
    json.dumps([row.as_json() for row in told])


@given(histories_with_one_illegal_step())
def test_the_illegal_step_is_shown(broken: tuple[list[ExecutionEvent], int]) -> None:
    """Up to the illegal step all is legal; the step itself is marked."""
    events, index = broken
    told = rows(entries_of(events))
    assert [bool(row.broken) for row in told[: index + 1]] == [False] * index + [True]
    assert "AGAINST THE LAW" in printed(told, width=120)


async def test_nothing_in_a_history_reaches_the_terminal_as_an_order(store: MemoryStore) -> None:
    """Control characters in a provider's reason are shown, not obeyed."""
    receipt = await ask(store, "a")
    provider = Answering({"status": "FAILED", "reason": "\x1b]0;owned\x07 \u202e[red]"})
    await WakeupController(store, provider).run_once()
    text = printed(await history(store, receipt.execution_id))
    assert "\\x1b]0;owned\\x07 \\u202e[red]" in text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (1_250, "1.25 s"),
        (59_999, "1 min"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (12_000_000, "3 h 20 min"),
        (604_800_000, "7 d"),
    ],
)
def test_durations(milliseconds: int, text: str) -> None:
    """Durations are said in the two units that matter."""
    assert lasting(milliseconds) == text
