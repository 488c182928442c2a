"""Are an archive and a server's log of one piece? Asked before one is used after the other.

They are if the entry with which the archive ends is on the server, byte for byte; or, when that was
trimmed, if no more entries were than the archive has.
"""

from __future__ import annotations

from typing import NamedTuple

from by_cp.log.rawlog import Bounds, RawLog
from by_cp.replay.archive.errors import ArchiveMismatch
from by_cp.statemachine.position import Position, split


class End(NamedTuple):
    """Where an archive ends."""

    last: Position
    """Position of its last entry."""
    data: bytes
    """That entry."""
    ordinal: int
    """How many entries the log had had with it."""


def next_ordinal(
    end: End | None, log: RawLog, bounds: Bounds | None, *, accept_gap: bool = False
) -> int:
    """Return how many entries the log had had before the first that is not in the archive.

    Args:
        end: the archive's; None when it is empty.
        log: the server's.
        bounds: the log's.
        accept_gap: do not mind that entries were trimmed that are not in the archive.

    Raises:
        ArchiveMismatch: the log does not go on where the archive ends.
        ServerError: the server is away, or refuses.

    """
    if end is None:
        return bounds.trimmed if bounds else 0
    if bounds is None or split(bounds.last) < split(end.last):
        ends = f"ends at {bounds.last}" if bounds else "is not there"
        raise ArchiveMismatch(
            f"the archive goes to {end.last}, and the server's log {ends}: it is another log, or "
            "has lost its end; `by-cp log restore` puts an archive back into a server"
        )
    there = log.entry(end.last)
    if there == end.data:
        return end.ordinal
    if there is not None:
        raise ArchiveMismatch(
            f"the server's log and the archive have different entries at {end.last}: "
            "this is the archive of another log"
        )
    if bounds.trimmed < end.ordinal:
        raise ArchiveMismatch(
            f"the server's log has no entry {end.last}, with which the archive ends, and has "
            "not trimmed it: this is the archive of another log"
        )
    if bounds.trimmed > end.ordinal and not accept_gap:
        raise ArchiveMismatch(
            f"the server has trimmed {bounds.trimmed - end.ordinal:,} entries after {end.last} "
            "that are not in the archive: they are lost, unless another archive has them"
        )
    return bounds.trimmed
