"""How much is delivered ahead of what workers have taken. Pure.

What stands in a control stream is past fair order, priorities and cancellation, so no more is put
there than keeps the workers busy: twice what they handle at once. A worker that does not say how
much that is (by-framework's do not) is taken to handle `CAPACITY_UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Iterable

CAPACITY_UNKNOWN = 64

AHEAD = 2
"""So many times what its workers handle at once may be in an agent type's control stream."""


def room(capacities: Iterable[int], backlog: int) -> int:
    """Return how many more commands there is room for.

    Args:
        capacities: for each worker that is online, how many it handles at once; 0 is unknown.
        backlog: how many commands were delivered and are not handled yet.

    """
    window = AHEAD * sum(capacity or CAPACITY_UNKNOWN for capacity in capacities)
    return max(0, window - backlog)
