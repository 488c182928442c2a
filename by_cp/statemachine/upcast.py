"""Older schema versions of events, and how each is lifted to the next.

An entry of the log is never rewritten. When an event's shape changes in any way but a new last
field with a default, its old class moves here under its old tag, with a function that makes the
next version of it; `codec.py` applies them one after the other. A recorded history of the old
version goes into `tests/histories` with it.

All events are in their first version now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from by_cp.statemachine.events import Event

UPCASTERS: dict[type[Event], Callable[[Any], Event]] = {}
"""Old class -> the function that lifts its events to the next version."""
