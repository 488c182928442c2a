"""Positions in the log: ids of Redis streams, `milliseconds-sequence`, on the server's clock."""

from __future__ import annotations

Position = str
"""An entry's id, as the server writes it."""

BEGINNING = "0-0"
"""Before every entry."""


def split(position: Position) -> tuple[int, int]:
    """Return a position as two ints, which compare in the order of the log."""
    time_ms, _, sequence = position.partition("-")
    return int(time_ms), int(sequence or 0)


def time_ms(position: Position) -> int:
    """Return the time at which the entry was appended, in ms since 1970."""
    return int(position.partition("-")[0])


def sort_key(position: Position) -> str:
    """Return a position as a text that sorts in the order of the log."""
    milliseconds, sequence = split(position)
    return f"{milliseconds:013d}-{sequence:010d}"
