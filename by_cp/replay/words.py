"""Events in words, for people who want to know what happened and why.

What an event did is told in words of its own (`_DID`); one that has none here, a new event or one
from a newer release, is told by its fields. Why is told the same for all, by what an event holds:
a reason, the evidence, the workers that were seen, the wake, and who decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct, structs

from by_cp.replay.durations import iso, lasting
from by_cp.statemachine.events import (
    ADMISSION,
    BecameReady,
    Call,
    DeadLettered,
    Delivered,
    Event,
    Evidence,
    ExecutionEvent,
    Held,
    Redriven,
    Rejected,
    Requested,
    WakeAttempted,
    WakeProgressed,
    WakeRequested,
)

_HOW = {
    "ONLINE": "ready: a worker is online",
    "SEND_ANYWAY": "ready: sent without looking whether anyone is online",
    "WAKE": "ready: woken",
    "FALLBACK": "ready: the fallback stands in",
}
_WAITING_POLICY = "WAKE_AND_WAIT"

_EPOCH_MS_MIN = 10**12
"""A number of `…_ms` over this is a time, not a duration: in 2001 it was passed."""

COMMAND = frozenset({"command", "name_at", "name_size"})
"""The fields that are the payload: they are shown only when they are asked for."""

_IN_WHY = frozenset({"reason", "evidence", "worker_ids", "epoch", "by"})
_COMMON = frozenset(ExecutionEvent.__struct_fields__)


class Context(Struct, frozen=True):
    """What is known around an event."""

    now_ms: int
    """When it was appended."""
    call: Call | None = None
    """What was asked for; None when the history lacks its beginning."""


class Told(Struct, frozen=True):
    """An event in words, a phrase each."""

    did: tuple[str, ...]
    """What happened."""
    why: tuple[str, ...]
    """On which evidence, for which reason, by whose decision."""


def tell(event: Event, context: Context) -> Told:
    """Tell an event in words."""
    words = _DID.get(type(event), _by_fields)
    return Told(tuple(filter(None, words(event, context))), tuple(_why(event)))


def shown(text: str) -> str:
    """Spell out what a terminal would take for an order."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def payload_of(event: Event) -> str:
    """Return the command that an event holds; "" when it holds none."""
    return getattr(event, "command", "")


def own_fields(event: Event) -> dict[str, Any]:
    """Return what an event holds beside what all have, as it would stand in JSON."""
    return {
        name: structs.asdict(value) if isinstance(value, Struct) else value
        for name, value in structs.asdict(event).items()
        if name not in _COMMON
    }


# --- Why ------------------------------------------------------------------------------------------


def _why(event: Any) -> Iterator[str]:
    if reason := getattr(event, "reason", ""):
        yield reason
    if evidence := getattr(event, "evidence", None):
        yield from _evidence(evidence)
    if worker_ids := getattr(event, "worker_ids", ()):
        yield f"online: {', '.join(worker_ids)}"
    epoch = getattr(event, "epoch", "")
    if epoch and not isinstance(event, WakeRequested):
        yield f"epoch {epoch}"
    by = getattr(event, "by", "")
    if by and by != ADMISSION:
        yield f"decided by {by}"


def _evidence(seen: Evidence) -> Iterator[str]:
    if seen.maintenance:
        yield f"the agent type is {seen.maintenance}"
    if seen.circuit:
        yield f"circuit {'OPEN (set by hand)' if seen.circuit == 'FOREIGN' else seen.circuit}"
    if seen.quota_used >= 0:
        limit = f" of {seen.quota_limit}" if seen.quota_limit >= 0 else ", no limit"
        yield f"quota used: {seen.quota_used}{limit}"
    if seen.depth_max >= 0:
        yield f"held for the agent type: {seen.depth} of {seen.depth_max}"
    if seen.workers_registered >= 0:
        online = "a worker" if seen.workers_online > 0 else "no worker"
        yield f"{online} online of {seen.workers_registered} registered"


# --- What happened --------------------------------------------------------------------------------


def _requested(event: Requested, _: Context) -> Iterator[str]:
    call = event.call
    yield f"{call.source or 'someone'} asks for {call.agent_type!r} by {call.policy}"
    yield _joined(
        f"tenant {call.user_code!r}" if call.user_code else "",
        f"region {call.region!r}" if call.region else "",
        f"priority {call.priority}" if call.priority else "",
        f"waits {lasting(call.timeout_ms)}" if call.policy == _WAITING_POLICY else "",
    )
    yield _joined(
        f"not before {iso(call.not_before_ms)}" if call.not_before_ms else "",
        f"of no use after {iso(call.expires_at_ms)}" if call.expires_at_ms else "",
    )
    if call.origin:
        yield f"adopted from a client of {call.origin}"


def _held(event: Held, context: Context) -> Iterator[str]:
    yield f"holds the command, {_size(event)}"
    if event.deadline_ms:
        yield f"the caller waits {lasting(event.deadline_ms - context.now_ms)}"
    if event.not_before_ms > context.now_ms:
        yield f"it is due in {lasting(event.not_before_ms - context.now_ms)}"


def _wake_requested(event: WakeRequested, context: Context) -> Iterator[str]:
    group = f" of {group_of(context.call)}" if context.call else ""
    if event.epoch:
        yield f"joins the wake {event.epoch}{group}"
        yield f"led by {event.leader}"
    else:
        yield f"leads the wake{group}"
        yield f"claimed for {lasting(event.until_ms - context.now_ms)}"
    if event.permit_until_ms:
        yield "it probes the half-open circuit"


def _wake_attempted(event: WakeAttempted, context: Context) -> Iterator[str]:
    yield f"the provider is asked, attempt {event.attempt} of the wake {event.wake}"
    yield f"it may take {lasting(max(event.until_ms - context.now_ms, 0))}"


def _wake_progressed(event: WakeProgressed, _: Context) -> Iterator[str]:
    yield f"the wake is {event.status}"


def _became_ready(event: BecameReady, _: Context) -> Iterator[str]:
    how = _HOW.get(event.how, f"ready: {event.how}")
    yield f"{how}, {event.agent_type!r}" if event.how == "FALLBACK" else how


def _delivered(event: Delivered, _: Context) -> Iterator[str]:
    if event.handed_over:
        yield f"the caller puts it into the control stream of {event.agent_type!r} by itself"
    else:
        yield f"into the control stream of {event.agent_type!r}"


def _rejected(event: Rejected, _: Context) -> Iterator[str]:
    yield event.code
    if event.retry_after_ms >= 0:
        yield f"try again in {lasting(event.retry_after_ms)}"


def _dead_lettered(event: DeadLettered, _: Context) -> Iterator[str]:
    yield f"buried, with the command, {_size(event)}" if event.command else "buried"


def _redriven(_: Redriven, __: Context) -> Iterator[str]:
    yield "given another life"


def _by_fields(event: Event, _: Context) -> Iterator[str]:
    """Tell an event that has no words here."""
    if payload_of(event):
        yield f"the command, {_size(event)}"
    for name, value in own_fields(event).items():
        if name not in _IN_WHY:
            yield field_in_words(name, value)


def field_in_words(name: str, value: Any) -> str:
    """Return a field in words; "" if it says nothing, or is the payload's."""
    if name in COMMAND or value in ("", (), {}, False):
        return ""
    words = name.removesuffix("_ms").replace("_", " ")
    if name in {"state", "mode"}:
        return str(value)
    if value is True:
        return words
    if isinstance(value, (dict, tuple)):
        return f"{len(value)} {words}"
    if value == -1:  # that is how a limit that there is not is written
        return f"no {words}"
    if name.endswith("_ms"):
        return f"{words} {_time(value)}" if value else ""
    return f"{words} {value}"


def _time(value_ms: int) -> str:
    return iso(value_ms) if value_ms > _EPOCH_MS_MIN else lasting(value_ms)


def group_of(call: Call) -> str:
    """Name a wake group: those who share agent type, tenant and region share a wake."""
    return _joined(
        repr(call.agent_type),
        f"tenant {call.user_code!r}" if call.user_code else "",
        f"region {call.region!r}" if call.region else "",
    )


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _size(event: Event) -> str:
    return f"{len(payload_of(event).encode()):,} bytes"


_DID: dict[type[Event], Callable[[Any, Context], Iterator[str]]] = {
    Requested: _requested,
    Held: _held,
    WakeRequested: _wake_requested,
    WakeAttempted: _wake_attempted,
    WakeProgressed: _wake_progressed,
    BecameReady: _became_ready,
    Delivered: _delivered,
    Rejected: _rejected,
    DeadLettered: _dead_lettered,
    Redriven: _redriven,
}
