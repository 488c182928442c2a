"""Events in words, for people who want to know what happened and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from by_cp.statemachine.events import (
    ADMISSION,
    BecameReady,
    Call,
    DeadLettered,
    Delivered,
    Evidence,
    ExecutionEvent,
    Failed,
    Held,
    Redriven,
    Rejected,
    Requested,
    WakeAttempted,
    WakeProgressed,
    WakeRequested,
)

_HOW = {
    "ONLINE": "a worker is online",
    "SEND_ANYWAY": "sent without looking whether anyone is online",
    "WAKE": "woken",
    "FALLBACK": "the fallback stands in",
}
_WAITING_POLICY = "WAKE_AND_WAIT"
_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_LARGER_UNITS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))


def phrases(event: ExecutionEvent, now_ms: int, *, payload: bool) -> Iterator[str]:
    """Yield what an event says, a phrase at a time; `now_ms` is when it was appended."""
    yield from _WORDS[type(event)](event, now_ms)
    command = getattr(event, "command", "")
    if payload and command:
        yield command
    by = getattr(event, "by", "")
    if by and by != ADMISSION:
        yield f"by {by}"


def lasting(duration_ms: int) -> str:
    """Return a duration as people say it: `12 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`, `7 d`."""
    if duration_ms < _SECOND_MS:
        return f"{duration_ms} ms"
    hundredths = round(duration_ms / 10)
    if hundredths < _MINUTE_MS / 10:
        return f"{hundredths / 100:g} s"
    seconds = round(duration_ms / 1000)
    unit, in_seconds, smaller, in_smaller = next(u for u in _LARGER_UNITS if seconds >= u[1])
    rest = seconds % in_seconds // in_smaller
    return f"{seconds // in_seconds} {unit}" + (f" {rest} {smaller}" if rest else "")


def _requested(event: Requested, _: int) -> Iterator[str]:
    yield from _call(event.call)
    yield from _evidence(event.evidence)


def _call(call: Call) -> Iterator[str]:
    yield f"{call.source or 'someone'} asks for {call.agent_type!r} by {call.policy}"
    yield from _joined(
        f"tenant {call.user_code!r}" if call.user_code else "",
        f"region {call.region!r}" if call.region else "",
        f"priority {call.priority}" if call.priority else "",
        f"waits {lasting(call.timeout_ms)}" if call.policy == _WAITING_POLICY else "",
    )


def _evidence(seen: Evidence) -> Iterator[str]:
    circuit = "OPEN (set by hand)" if seen.circuit == "FOREIGN" else seen.circuit
    limit = f" of {seen.quota_limit}" if seen.quota_limit >= 0 else ", no limit"
    yield from _joined(
        f"circuit {circuit}" if circuit else "",
        f"quota used: {seen.quota_used}{limit}" if seen.quota_used >= 0 else "",
    )
    if seen.workers_registered >= 0:
        online = "a worker" if seen.workers_online > 0 else "no worker"
        yield f"{online} online of {seen.workers_registered} registered"


def _held(event: Held, now_ms: int) -> Iterator[str]:
    until = f"; caller waits {lasting(event.deadline_ms - now_ms)}" if event.deadline_ms else ""
    yield f"holds {_size(event.command)}{until}"


def _wake_requested(event: WakeRequested, now_ms: int) -> Iterator[str]:
    if event.epoch:
        yield f"joins wake {event.epoch}, led by {event.leader}"
    else:
        yield f"leads a wake, claimed for {lasting(event.until_ms - now_ms)}"


def _wake_attempted(event: WakeAttempted, now_ms: int) -> Iterator[str]:
    until = f"; it may take {lasting(max(event.until_ms - now_ms, 0))}"
    yield f"attempt {event.attempt} of wake {event.wake}{until}"
    if event.reason:
        yield f"again, because {event.reason}"


def _wake_progressed(event: WakeProgressed, _: int) -> Iterator[str]:
    yield event.status + (f": {event.reason}" if event.reason else "")


def _became_ready(event: BecameReady, _: int) -> Iterator[str]:
    yield _HOW.get(event.how, event.how)
    if event.how == "FALLBACK":
        yield f"it is {event.agent_type!r}"
    if event.worker_ids:
        yield f"online: {', '.join(event.worker_ids)}"
    yield from _wake(event.epoch)


def _delivered(event: Delivered, _: int) -> Iterator[str]:
    yield f"into the control stream of {event.agent_type!r}"


def _failed(event: Failed, _: int) -> Iterator[str]:
    yield event.reason
    yield from _wake(event.epoch)


def _rejected(event: Rejected, _: int) -> Iterator[str]:
    yield f"{event.code}: {event.reason}"
    if event.retry_after_ms >= 0:
        yield f"try again in {lasting(event.retry_after_ms)}"


def _dead_lettered(event: DeadLettered, _: int) -> Iterator[str]:
    yield event.reason
    if event.command:
        yield f"buried with its {_size(event.command)}"


def _redriven(_: Redriven, __: int) -> Iterator[str]:
    yield "given another life"


def _wake(epoch: str) -> Iterator[str]:
    if epoch:
        yield f"wake {epoch}"


def _joined(*parts: str) -> Iterator[str]:
    if any(parts):
        yield ", ".join(filter(None, parts))


def _size(command: str) -> str:
    return f"{len(command.encode()):,} bytes"


_WORDS: dict[type[ExecutionEvent], Callable[[Any, int], Iterator[str]]] = {
    Requested: _requested,
    Held: _held,
    WakeRequested: _wake_requested,
    WakeAttempted: _wake_attempted,
    WakeProgressed: _wake_progressed,
    BecameReady: _became_ready,
    Delivered: _delivered,
    Failed: _failed,
    Rejected: _rejected,
    DeadLettered: _dead_lettered,
    Redriven: _redriven,
}
