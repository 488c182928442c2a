"""An execution's head, made again from its history."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from by_cp.log.answers import Outcome, Receipt
from by_cp.log.live import Hash, Head
from by_cp.projections.rows import DeadLetterRow, ExecutionRow
from by_cp.projections.views import Views
from by_cp.replay.drift import expected as law
from by_cp.statemachine.events import (
    BecameReady,
    DeadLettered,
    Delivered,
    Event,
    ExecutionEvent,
    Held,
    Redriven,
    Rejected,
    Requested,
)
from by_cp.statemachine.position import Position
from by_cp.vocabulary import WAITING, AvailabilityStatus, ErrorCode, RoutePolicy

History = Sequence[tuple[Position, Event]]

_PACK = msgspec.msgpack.Encoder()


def head_of(
    views: Views, row: ExecutionRow, history: History, compared: Position, keep_until_ms: int
) -> Head:
    """Return the head as it must be.

    What no event says is not in it: the digest by which a repeated request is known to be the same,
    and in which process its caller waits.

    Args:
        views: folded up to the moment.
        row: the execution's.
        history: its events; of a log that was trimmed, those that are left.
        compared: the position of the head that is there, "" if none is.
        keep_until_ms: until when it is kept, if it is settled.

    """
    told = law.execution(views, row)
    held = law.document(views, row)
    places = ("deadline_ms", "expires_at_ms", "not_before_ms", "rank", "name_at", "name_size")
    fields: Hash = dict(zip("dyarnz", (told.get(name, "") for name in places), strict=True))
    positions = [position for position, _ in history] or [row.position]
    fields |= {
        "s": row.state.value,
        "v": str(row.version),
        "p": ",".join(positions),
        "h": row.held_at,
        "u": "1" if row.charged else "",
        "e": row.epoch,
        "j": row.joined_at,
    }
    events = [event for _, event in history]
    receipt, outcome = _receipt(row, history), _outcome(row, events)
    return Head(
        row.execution_id,
        row.call,
        compared,
        fields,
        0 if law.is_open(row) else keep_until_ms,
        held.command if held is not None else "",
        held.reason if isinstance(held, DeadLetterRow) else "",
        told.get("lease", "").replace("inf", "0"),
        _PACK.encode(receipt) if receipt is not None else b"",
        _PACK.encode(outcome) if outcome is not None else b"",
    )


def _receipt(row: ExecutionRow, history: History) -> Receipt | None:
    """Return what the call that requested it was answered."""
    if not history or not isinstance(history[0][1], Requested):
        return None
    cause = history[0][1].cause
    own = [
        (position, event)
        for position, event in history
        if isinstance(event, ExecutionEvent) and event.cause == cause
    ]
    asked_for, last = row.call.agent_type, own[-1][0]
    how = ""
    for _, event in own:
        if isinstance(event, Rejected):
            rest = (event.code, event.reason, event.retry_after_ms)
            reject = AvailabilityStatus.REJECT
            return Receipt(row.execution_id, reject, asked_for, *rest, last)
        if isinstance(event, BecameReady):
            how = event.how
        elif isinstance(event, Delivered):
            fallback = AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
            status: str = fallback if how == "FALLBACK" else AvailabilityStatus.DELIVER_NOW
            return Receipt(row.execution_id, status, event.agent_type, position=last)
    waits = row.call.policy == RoutePolicy.WAKE_AND_WAIT
    status = WAITING if waits else AvailabilityStatus.QUEUE_PENDING
    return Receipt(row.execution_id, status, asked_for, position=last)


def _outcome(row: ExecutionRow, events: Sequence[Event]) -> Outcome | None:
    """Return what whoever waits for it was told; None when nobody was told anything yet."""
    asked_for, execution_id = row.call.agent_type, row.execution_id
    held, told = False, None
    for event in events:
        if isinstance(event, Held):
            held = True
        elif isinstance(event, Redriven):
            held, told = False, None
        elif held and isinstance(event, (Delivered, Rejected, DeadLettered)):
            held = False
            if isinstance(event, Delivered):
                own = event.agent_type == asked_for
                told = Outcome(
                    execution_id,
                    AvailabilityStatus.WAIT_AND_DELIVER
                    if own
                    else AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE,
                    "DELIVERED",
                    event.agent_type,
                )
                continue
            rejected = isinstance(event, Rejected)
            told = Outcome(
                execution_id,
                AvailabilityStatus.REJECT,
                "REJECTED" if rejected else "DEADLETTER",
                asked_for,
                event.code if isinstance(event, Rejected) else ErrorCode.AGENT_TYPE_UNAVAILABLE,
                event.reason,
                event.retry_after_ms if isinstance(event, Rejected) else -1,
            )
    return told
