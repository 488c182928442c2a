"""What must hold in the end, whoever was killed when."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple

import plan

from by_cp.keys import RedisKeys
from by_cp.log.contract import Entry
from by_cp.log.redis.store import RedisStore
from by_cp.projections.views import Views
from by_cp.statemachine.events import (
    DeadLettered,
    Delivered,
    ExecutionEvent,
    Held,
    Redriven,
    Rejected,
    WakeAttempted,
)
from by_cp.statemachine.position import BEGINNING, time_ms
from by_cp.statemachine.states import State
from by_cp.testing import invariants
from by_cp.vocabulary import RoutePolicy

PAGE = 5_000
ENDS = (State.DELIVERED, State.REJECTED, State.DEADLETTER)


class Violation(AssertionError):
    """Something that must hold does not."""

    def __init__(self, text: str, execution_id: str = "") -> None:
        super().__init__(text)
        self.execution_id = execution_id


class Evidence(NamedTuple):
    """All that there is to see in the end."""

    entries: list[Entry]
    views: Views
    provider: list[dict[str, Any]]
    senders: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    in_streams: dict[str, int]
    """agent type -> how many commands were ever put into its control stream."""


def require(condition: object, text: str, execution_id: str = "") -> None:
    """Raise a Violation unless the condition holds."""
    if not condition:
        raise Violation(text, execution_id)


async def whole_log(store: RedisStore) -> list[Entry]:
    """Read the log from its beginning to its end."""
    entries: list[Entry] = []
    while page := await store.read(entries[-1].position if entries else BEGINNING, PAGE):
        entries += page
    return entries


async def unsettled(store: RedisStore, redis: Any) -> str:
    """Return what is still under way; "" is nothing."""
    if held := await store.held_agent_types():
        return f"held for {held}"
    if await redis.xlen(RedisKeys.control_plane_wakeup_stream()):
        return "a wake is asked for"
    for agent_type in plan.AGENT_TYPES:
        if await redis.xlen(RedisKeys.ctrl_stream(agent_type)):
            return f"not handled by {agent_type}"
    return ""


def check(evidence: Evidence) -> dict[str, int]:
    """Check all of it; return what there was of what.

    Raises:
        Violation: something does not hold.

    """
    entries, views = evidence.entries, evidence.views
    for law in (
        invariants.positions_increase,
        invariants.versions_count_from_one,
        invariants.delivered_at_most_once_a_life,
        invariants.in_flight_within_limits,
        invariants.probes_are_few,
    ):
        law(entries)
    invariants.views_are_the_fold(entries, views)
    invariants.quotas_count_what_is_held(views)
    invariants.every_wake_has_an_end(views)
    invariants.nothing_accepted_is_lost(entries, views)
    _in_time(entries)
    _nothing_is_left(views)
    counts = _provider_once_an_epoch(evidence)
    counts |= _answers_are_true(evidence)
    counts |= _each_delivery_in_a_stream(evidence)
    _buried_whole(views)
    _handled_what_was_sent(evidence)
    return counts


def _nothing_is_left(views: Views) -> None:
    for execution_id, row in views.executions.items():
        require(row.state in ENDS, f"{execution_id} is still {row.state}", execution_id)
    require(not views.pending, f"pending: {sorted(views.pending)}", next(iter(views.pending), ""))
    require(not views.wakes, f"claims are left: {views.wakes}")
    require(not views.wake_members, f"someone waits for a wake: {views.wake_members}")


def _in_time(entries: list[Entry]) -> None:
    """What was held is delivered neither before its time nor after it."""
    held: dict[str, Held] = {}
    for position, event in entries:
        if isinstance(event, Held):
            held[event.execution_id] = event
        elif isinstance(event, Delivered) and (times := held.pop(event.execution_id, None)):
            now_ms, execution_id = time_ms(position), event.execution_id
            early = now_ms < times.not_before_ms
            late = 0 < times.due_ms <= now_ms
            require(not early, f"{execution_id} was delivered before its time", execution_id)
            require(not late, f"{execution_id} was delivered after its time", execution_id)


def _provider_once_an_epoch(evidence: Evidence) -> dict[str, int]:
    attempts = {
        position: event.execution_id
        for position, event in evidence.entries
        if isinstance(event, WakeAttempted)
    }
    calls = Counter(line["epoch"] for line in evidence.provider)
    for epoch, count in calls.items():
        require(epoch in attempts, f"the provider was asked for {epoch}, which is no attempt")
        require(count == 1, f"the provider was asked {count} times for {epoch}", attempts[epoch])
    return {"attempts": len(attempts), "provider calls": len(calls)}


def _answers_are_true(evidence: Evidence) -> dict[str, int]:
    """What each caller was told is what the log says."""
    seen: dict[str, set[str]] = {}
    for _, event in evidence.entries:
        if isinstance(event, ExecutionEvent):
            seen.setdefault(event.execution_id, set()).add(event.name)
    policies = {line["sent"]: line["policy"] for line in evidence.senders if "sent" in line}
    counts: Counter[str] = Counter()
    for line in evidence.senders:
        counts["sends repeated"] += "repeated" in line
        counts["redriven"] += "redriven" in line
        if "answered" not in line:
            continue
        execution_id = line["answered"]
        names = seen.get(execution_id, set())
        require(names, f"{execution_id} was answered, and the log knows nothing", execution_id)
        waited = policies[execution_id] == RoutePolicy.WAKE_AND_WAIT
        if not line["success"]:
            told = names & {Rejected.__name__, DeadLettered.__name__}
        else:
            told = names & ({Delivered.__name__} if waited else {Delivered.__name__, Held.__name__})
        require(told, f"{execution_id} was told {line}, but the log says {names}", execution_id)
        counts["answered"] += 1
        counts["told success" if line["success"] else "told failure"] += 1
    for execution_id in seen.keys() - policies.keys():
        raise Violation(f"nobody has sent {execution_id}", execution_id)
    return {"sent": len(policies), **counts}


def _each_delivery_in_a_stream(evidence: Evidence) -> dict[str, int]:
    delivered = [event for _, event in evidence.entries if isinstance(event, Delivered)]
    to = Counter(event.agent_type for event in delivered)
    for agent_type, added in evidence.in_streams.items():
        require(
            to[agent_type] == added,
            f"{added} commands came into the control stream of {agent_type}, "
            f"but the log has {to[agent_type]} deliveries",
        )
    names = Counter(event.name for _, event in evidence.entries)
    ends = Counter(str(row.state) for row in evidence.views.executions.values())
    return {
        "events": len(evidence.entries),
        "deliveries": len(delivered),
        "redrives": names[Redriven.__name__],
        **{f"end {state}": count for state, count in sorted(ends.items())},
    }


def _buried_whole(views: Views) -> None:
    for execution_id, row in views.dead_letters.items():
        content = json.loads(row.command)["body"]["content"]
        whole = content == plan.content_of(execution_id)
        require(whole, f"{execution_id} is buried with {content!r}", execution_id)


def _handled_what_was_sent(evidence: Evidence) -> None:
    """Each delivery was handled, by the agent type that it went to, as it was sent."""
    delivered = {
        (plan.content_of(event.execution_id), event.agent_type): event.execution_id
        for _, event in evidence.entries
        if isinstance(event, Delivered)
    }
    handled = Counter((line["content"], line["by"]) for line in evidence.workers)
    for key, execution_id in delivered.items():
        require(handled[key], f"{execution_id} was delivered, but nobody handled it", execution_id)
    for key in handled.keys() - delivered.keys():
        raise Violation(f"handled, but never delivered: {key}")
    for line in evidence.workers:
        named = line["named"] == line["by"]
        require(named, f"a command for {line['named']!r} was handled by {line['by']!r}")
