"""The one declaration of the state machine. Everything else is made from `TRANSITIONS`.

From it come `machine.py` (the `transitions.Machine`), `table.py` (the flat look-up that replay
folds with), the table inside the server's function library (`by_cp.log.redis.library`) and the
diagram in the docs. A test holds all of them equal for every pair of state and event.

The rows are in the form that `transitions` takes, in its own words: `trigger` is the event,
`after` are the effects, in the order in which they happen. `source` None is an execution that does
not exist yet. What is *not* here: conditions. They are looked at when deciding, never when
replaying, so they live with the stores' deciders.

One refinement of the specified table: the quota is charged by `Held`, not by `Requested`. What is
in flight is what by-cp holds; a call that is rejected or delivered in the call that requests it was
never in flight, and so no position of the log ever shows more in flight than the limit.

Two more: whoever waits may ask for another wake (`WakeRequested` from WAKING), because the one it
joined may be lost with the server's memory or a manager; and `WakeAttempted` tells each call of a
provider, whose position is the fencing token of what it brings.

If you change this file, change with it: `events.py` (a new event), the handlers of its effects in
`by_cp.projections` and in `by_cp/log/redis/lua/effects.lua`, and the recorded histories.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from by_cp.statemachine.states import Effect, State


class Row(TypedDict):
    """One transition, as `transitions` takes it."""

    trigger: str
    source: State | None
    dest: State
    after: NotRequired[list[Effect]]


def _rows(
    trigger: str, sources: tuple[State | None, ...], dest: State, *effects: Effect
) -> list[Row]:
    return [
        {"trigger": trigger, "source": source, "dest": dest, "after": list(effects)}
        for source in sources
    ]


_E, _S = Effect, State

TRANSITIONS: tuple[Row, ...] = (
    *_rows("Requested", (None,), _S.REQUESTED, _E.OPEN),
    *_rows("Held", (_S.REQUESTED,), _S.REQUESTED, _E.HOLD, _E.CHARGE),
    *_rows("WakeRequested", (_S.REQUESTED, _S.WAKING, _S.FAILED), _S.WAKING, _E.JOIN),
    *_rows("WakeAttempted", (_S.WAKING,), _S.WAKING, _E.ATTEMPT),
    *_rows("WakeProgressed", (_S.WAKING,), _S.WAKING, _E.PROGRESS),
    *_rows("BecameReady", (_S.REQUESTED, _S.WAKING), _S.READY, _E.LEAVE, _E.HEAL),
    *_rows(
        "Delivered",
        (_S.READY,),
        _S.DELIVERED,
        *(_E.DELIVER, _E.UNHOLD, _E.DISCHARGE, _E.TELL, _E.CLOSE),
    ),
    *_rows("Failed", (_S.WAKING, _S.READY), _S.FAILED, _E.LEAVE, _E.STRIKE),
    *_rows(
        "Rejected",
        (_S.REQUESTED, _S.WAKING),
        _S.REJECTED,
        *(_E.LEAVE, _E.UNHOLD, _E.DISCHARGE, _E.TELL, _E.CLOSE),
    ),
    *_rows(
        "DeadLettered",
        (_S.FAILED, _S.REJECTED),
        _S.DEADLETTER,
        *(_E.BURY, _E.RESUME, _E.UNHOLD, _E.DISCHARGE, _E.TELL),
    ),
    *_rows("Redriven", (_S.DEADLETTER,), _S.REQUESTED, _E.EXHUME),
)
"""Every legal step of an execution."""
