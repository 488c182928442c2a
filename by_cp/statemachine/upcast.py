"""Older schema versions of events, and how each is lifted to the next.

An entry of the log is never rewritten. When an event's shape changes in any way but a new last
field with a default, its old class moves here under its old tag, with a function that makes the
next version of it; `codec.py` applies them one after the other. A recorded history of the old
version goes into `tests/histories` with it.

A class here has its version in its name (`DepthSet1`). An upcaster is pure and total: whatever an
older release could write becomes an event that folds to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from by_cp.statemachine.events import DepthSet, Event, SystemEvent, TenantDepthSet


class DepthSet1(SystemEvent, array_like=True, gc=False, frozen=True, tag="DepthSet/1"):
    """Someone set how many commands may be held for an agent type, or for a tenant.

    One event was about either. Nothing kept it from naming both, and then one was passed over.
    """

    agent_type: str
    """"" if it is for a tenant."""
    user_code: str
    """"" if it is for an agent type."""
    depth_max: int
    """-1 takes the limit away."""
    by: str = ""


def tell_whose(event: DepthSet1) -> DepthSet | TenantDepthSet:
    """Make it an event of the agent type or of the tenant; of both named, the tenant it was."""
    if event.user_code:
        return TenantDepthSet(event.cause, event.user_code, event.depth_max, event.by)
    return DepthSet(event.cause, event.agent_type, event.depth_max, event.by)


UPCASTERS: dict[type[Event], Callable[[Any], Event]] = {DepthSet1: tell_whose}
"""Old class -> the function that lifts its events to the next version."""
