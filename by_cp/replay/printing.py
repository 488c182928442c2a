"""A history as a table for people, readable at 80 columns.

An event is a line of the table, and below it stands what it did and why::

    1700000000000-2  22:13:20.000    +0 ms  WakeRequested   REQUESTED → WAKING
        did  leads the wake of 'poet', tenant 'acme'; claimed for 30 s
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from msgspec import Struct, structs

from by_cp.replay.durations import clock, iso, lasting, moment, short
from by_cp.replay.history import History, Row, summary
from by_cp.replay.terminal import Line, padded, width_of_terminal, wrapped, write
from by_cp.replay.words import shown
from by_cp.statemachine.position import Position, time_ms

STYLES = {
    "REQUESTED": "cyan",
    "WAKING": "yellow",
    "READY": "green",
    "DELIVERED": "bold green",
    "FAILED": "red",
    "REJECTED": "bold red",
    "DEADLETTER": "bold red",
}
_TITLES = ("POSITION", "TIME (UTC)", "SINCE", "EVENT", "STATE BEFORE → AFTER")
_CLOCK_WIDTH, _SINCE_WIDTH, _STATES_WIDTH = 12, 8, 21
_LABEL_WIDTH = 12
_DETAIL_MIN = 20


class Columns(Struct, frozen=True):
    """How wide the table and its columns are, in cells."""

    width: int
    position: int = 15
    event: int = 14
    gap: int = 2

    @classmethod
    def of(cls, rows: Iterable[Row], width: int) -> Columns:
        """Return columns that hold the rows, closer to one another where that makes them fit."""
        position = max((len(row.position) for row in rows), default=cls(width).position)
        wide = cls(width, position)
        return wide if wide.fits else structs.replace(wide, gap=1)

    @property
    def fits(self) -> bool:
        """Whether an event is one line; on a narrow terminal it is two."""
        columns = self.position + _CLOCK_WIDTH + _SINCE_WIDTH + self.event + _STATES_WIDTH
        return columns + 4 * self.gap <= self.width


def show(told: History, stream: TextIO | None = None, width: int | None = None) -> None:
    """Print a history."""
    write(lines(told, width or width_of_terminal()), stream or sys.stdout)


def lines(told: History, width: int) -> Iterator[Line]:
    """Yield a history as lines of at most so many cells."""
    columns = Columns.of(told.rows, width)
    yield from head(told, columns)
    previous: Row | None = None
    for row in told.rows:
        yield from row_lines(row, previous, columns)
        previous = row


def listing(histories: list[History], text: str) -> Iterator[Line]:
    """Yield several executions, which one text means, a line each."""
    yield [(f"{len(histories)} executions belong to {shown(text)!r}; give one's id:", "")]
    ids = [shown(told.execution_id) for told in histories]
    widest = max(map(len, ids))
    day = ""
    for execution_id, told in zip(ids, histories, strict=True):
        if day != (day := day_of(told.rows[0])):
            yield [(f"— {day} —", "dim")]
        for_whom = f" for {told.call.agent_type!r}" if told.call else ""
        yield [
            (f"{clock(told.rows[0].time_ms)}  ", "dim"),
            (padded(execution_id, widest) + "  ", "bold"),
            (told.state, STYLES[told.state]),
            (shown(for_whom), ""),
            (f" after {lasting(told.took_ms)}", "dim"),
        ]


def around(position: Position, told: Iterable[tuple[str, str]], width: int) -> Iterator[Line]:
    """Yield what stood around an execution at a moment."""
    yield []
    yield [("AS IT STOOD", "bold"), (f" at {position}, {iso(time_ms(position))}", "")]
    stood = list(told)
    widest = max(len(label) for label, _ in stood)
    for label, text in stood:
        parts = wrapped(shown(text), max(width - widest - 6, _DETAIL_MIN))
        for number, part in enumerate(parts):
            name = label if number == 0 else ""
            yield [("    " + padded(name, widest) + "  ", "dim"), (part, "")]


def head(told: History, columns: Columns) -> Iterator[Line]:
    """Yield the lines above the table."""
    width = columns.width
    for part in wrapped(shown(told.execution_id), width):
        yield [(part, "bold")]
    sentence = f"{shown(summary(told))}, begun {day_of(told.rows[0])}"
    for number, part in enumerate(wrapped(sentence, width)):
        state = told.state if number == 0 else ""
        yield [(state, STYLES[told.state]), (part[len(state) :], "")]
    if told.call:
        of = told.call
        ids = f"session {of.session_id!r}, message {of.message_id!r}, trace {of.trace_id!r}"
        yield from ([(part, "dim")] for part in wrapped(shown(ids), width))
    yield []
    if columns.fits:
        yield [(text, "dim") for text in _cells(_TITLES, columns)]


def day_of(row: Row) -> str:
    """Return the day of an event, in UTC."""
    return moment(row.time_ms).date().isoformat()


def row_lines(row: Row, previous: Row | None, columns: Columns) -> Iterator[Line]:
    """Yield an event as lines."""
    width = columns.width
    if previous and day_of(row) != day_of(previous):
        yield [(f"— {day_of(row)} —", "dim")]
    since = f"+{short(row.since_ms)}" if previous else ""
    states = _states(row)
    if columns.fits:
        texts = (row.position, clock(row.time_ms), since.rjust(_SINCE_WIDTH), row.event, "")
        styles = ("dim", "", "dim", "bold", "")
        yield [*zip(_cells(texts, columns), styles, strict=True), *states]
    else:
        yield [(row.position, "dim"), (f"  {clock(row.time_ms)}  ", ""), (since, "dim")]
        yield [("  ", ""), (row.event, "bold"), ("  ", ""), *states]
    if row.broken:
        yield [("    ", ""), ("AGAINST THE LAW", "bold red reverse")]
        yield from _labelled("", row.broken, width, "bold red")
    yield from _labelled("did", "; ".join(row.did), width)
    yield from _labelled("why", "; ".join(row.why), width)
    yield from _labelled("payload", row.payload, width)


def _cells(texts: Sequence[str], columns: Columns) -> list[str]:
    """Return texts as wide as their columns, gaps included."""
    widths = (columns.position, _CLOCK_WIDTH, _SINCE_WIDTH, columns.event)
    *first, last = texts
    gap = " " * columns.gap
    return [*(padded(text, w) + gap for text, w in zip(first, widths, strict=True)), last]


def _states(row: Row) -> Line:
    before = (row.before, STYLES.get(row.before, "")) if row.before else ("new", "dim")
    return [before, (" → ", "dim"), (row.after, STYLES.get(row.after, ""))]


def _labelled(label: str, text: str, width: int, style: str = "") -> Iterator[Line]:
    """Yield a text beside its label."""
    parts = wrapped(shown(text), max(width - _LABEL_WIDTH, _DETAIL_MIN)) if text else ()
    for number, part in enumerate(parts):
        name = label if number == 0 else ""
        yield [(f"    {name}".ljust(_LABEL_WIDTH), "dim"), (part, style)]
