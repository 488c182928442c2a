"""A history on a line of time, for a page: where what begins, and how long it is. Pure.

All places and widths are percents of the line. The last state has an end of its own, because it
lasts until nobody knows when; the time before takes the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from by_cp.replay.durations import lasting
from by_cp.replay.history import History, Row

END_PERCENT = 14.0
"""How much of the line the last state has."""

MARKS_APART_PERCENT = 2.6
"""Events nearer than this to one another share a mark."""

LABEL_PERCENT = 9.0
"""A stretch wider than this has its name in it."""

TICKS_MAX = 6
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS_MS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(n * _SECOND_MS for n in (1, 2, 5, 10, 20, 30)),
    *(n * _MINUTE_MS for n in (1, 2, 5, 10, 20, 30)),
    *(n * _HOUR_MS for n in (1, 2, 3, 6, 12)),
    *(n * _DAY_MS for n in (1, 2, 7, 14, 30, 90, 365)),
)

_HOLDS, _RELEASES = frozenset({"Held"}), frozenset({"Delivered", "Rejected", "DeadLettered"})
_JOINS, _LEAVES = frozenset({"WakeRequested"}), frozenset({"BecameReady", "Failed", "Rejected"})


class Stretch(Struct, frozen=True):
    """Something that lasts."""

    name: str
    left: float
    width: float
    lasts: str
    """How long; "" when it goes on."""

    @property
    def is_wide(self) -> bool:
        """Whether there is room for its name."""
        return self.width >= LABEL_PERCENT


class Mark(Struct, frozen=True):
    """One event, or several in a row, by their numbers in the history."""

    left: float
    first: int
    last: int
    state: str
    """To which the last of them leads."""

    @property
    def text(self) -> str:
        """Its numbers."""
        return f"{self.first}" if self.first == self.last else f"{self.first}–{self.last}"  # noqa: RUF001


class Tick(Struct, frozen=True):
    """One time that is written below the line."""

    left: float
    text: str


class Timeline(Struct, frozen=True):
    """A history on a line of time."""

    states: tuple[Stretch, ...]
    held: tuple[Stretch, ...]
    wakes: tuple[Stretch, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    spent: tuple[tuple[str, str, float], ...]
    """(state, how long altogether, percent of the time), the longest first."""


def timeline(told: History) -> Timeline:
    """Lay a history out on a line of time."""
    scale = _Scale(told)
    return Timeline(
        states=tuple(_states(told, scale)),
        held=tuple(_spans("held", told, scale, _HOLDS, _RELEASES)),
        wakes=tuple(_spans("wake", told, scale, _JOINS, _LEAVES)),
        marks=tuple(_marks(told, scale)),
        ticks=tuple(_ticks(told, scale)),
        spent=tuple(_spent(told)),
    )


class _Scale:
    def __init__(self, told: History) -> None:
        self._begun_ms = told.rows[0].time_ms
        self._percent_per_ms = (100 - END_PERCENT) / told.took_ms if told.took_ms else 0.0
        self.end = 100 - END_PERCENT if told.took_ms else 0.0

    def left(self, row: Row) -> float:
        return self.after(row.time_ms - self._begun_ms)

    def after(self, since_ms: int) -> float:
        return round(since_ms * self._percent_per_ms, 3)


def _states(told: History, scale: _Scale) -> Iterator[Stretch]:
    """Yield the states, those that lasted no time left out."""
    begun = told.rows[0]
    for row, following in zip(told.rows, told.rows[1:], strict=False):
        if following.after == row.after:
            continue
        if following.time_ms > begun.time_ms:
            left = scale.left(begun)
            lasts = lasting(following.time_ms - begun.time_ms)
            yield Stretch(row.after, left, scale.left(following) - left, lasts)
        begun = following
    left = scale.left(begun)
    yield Stretch(told.state, left, 100 - left, "")


def _spans(
    name: str,
    told: History,
    scale: _Scale,
    begins: frozenset[str],
    ends: frozenset[str],
) -> Iterator[Stretch]:
    begun: Row | None = None
    for row in told.rows:
        if row.event in begins and begun is None:
            begun = row
        elif row.event in ends and begun is not None:
            left, lasts = scale.left(begun), lasting(row.time_ms - begun.time_ms)
            yield Stretch(name, left, scale.left(row) - left, lasts)
            begun = None
    if begun is not None:
        left = scale.left(begun)
        yield Stretch(name, left, 100 - left, "")


def _marks(told: History, scale: _Scale) -> Iterator[Mark]:
    mark: Mark | None = None
    for number, row in enumerate(told.rows, 1):
        left = scale.left(row)
        if mark is not None and left - mark.left < MARKS_APART_PERCENT:
            mark = Mark(mark.left, mark.first, number, row.after)
            continue
        if mark is not None:
            yield mark
        mark = Mark(left, number, number, row.after)
    if mark is not None:
        yield mark


def _ticks(told: History, scale: _Scale) -> Iterator[Tick]:
    took_ms = told.took_ms
    if not took_ms:
        return
    step_ms = next((s for s in _STEPS_MS if took_ms <= s * TICKS_MAX), took_ms)
    for since_ms in range(0, took_ms, step_ms):
        if scale.end - scale.after(since_ms) > LABEL_PERCENT:
            yield Tick(scale.after(since_ms), lasting(since_ms) if since_ms else "0")
    yield Tick(scale.end, lasting(took_ms))


def _spent(told: History) -> Iterator[tuple[str, str, float]]:
    spent_ms: dict[str, int] = {}
    for row, following in zip(told.rows, told.rows[1:], strict=False):
        spent_ms[row.after] = spent_ms.get(row.after, 0) + following.since_ms
    for state, ms in sorted(spent_ms.items(), key=lambda item: -item[1]):
        if ms:
            yield state, lasting(ms), 100 * ms / told.took_ms
