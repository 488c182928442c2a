"""The log as bytes: for what reads all of it, keeps it elsewhere, trims it or puts it back.

Theory: whoever folds a million events pays for each step of each entry, so entries come in pages,
as plain tuples, and nothing is decoded that nobody asked for. The garbage collector costs as much
as reading and decoding together (each entry is a few new containers, none of them ever in a cycle),
so who reads much does it in `without_gc()`.

No page is served over a hole: a page begins at the entry with which the one before it ended, and
when that has gone meanwhile the reader raises `LogTrimmed` instead of leaving entries out.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, Self

from by_cp.errors import ByCpError, CorruptEvent
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import BEGINNING, Position, split

Page = list[tuple[Position, bytes]]
"""Entries in the order of the log: each its position, and its event as it was encoded."""

SEQUENCE_MAX = 2**64 - 1
"""Of a position's second part."""

PAGE = 2_000
"""Entries of a page, at most. Longer pages are read no faster, and decoded more slowly: what a page
becomes should still be in the processor's cache when it is worked on."""


class LogTrimmed(ByCpError):
    """Entries were trimmed while, or before, they were to be read. Read through the archive."""

    def __init__(self, after: Position) -> None:
        super().__init__(
            f"the server's log no longer has the entry {after}, so what followed it may be trimmed,"
            " too; read it through the archive"
        )
        self.after = after


class Bounds(NamedTuple):
    """What a server's log spans, at one moment."""

    first: Position
    """Of the oldest entry that is there; "" when none is."""
    last: Position
    """Of the newest entry that was ever appended, trimmed or not."""
    length: int
    """How many entries are there."""
    added: int
    """How many entries were ever appended."""

    @property
    def trimmed(self) -> int:
        """How many entries are no longer there."""
        return self.added - self.length


class Pages(Protocol):
    """What can be read in pages: a server's log, an archive, or one after the other."""

    def pages(
        self,
        after: Position = BEGINNING,
        until: Position | None = None,
        count: int = PAGE,
    ) -> Iterator[Page]:
        """Give the entries after a position, up to and with `until`, or else to the end.

        No page is empty, and none has more than `count` entries.

        Raises:
            LogTrimmed: what was to be read next is gone.
            ServerError: the server is away, or refuses.

        """
        ...


class Hold(NamedTuple):
    """Why entries must stay on the server."""

    position: Position
    """The first that must stay; all that follow it stay with it."""
    reason: str


class RawLog(Pages, Protocol):
    """A server's log, below its events. Not for several threads at once."""

    def continued(
        self, after: Position, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the pages after an entry, as `pages` does, but only if that entry is still there.

        Raises:
            LogTrimmed: it is not.
            ServerError: the server is away, or refuses.

        """
        ...

    def bounds(self) -> Bounds | None:
        """Return what the log spans; None when there is none."""
        ...

    def entry(self, position: Position) -> bytes | None:
        """Return one entry; None when it is not there."""
        ...

    def now_ms(self) -> int:
        """Return the time on the server's clock, in ms since 1970."""
        ...

    def consumers(self) -> list[Hold]:
        """Return, for each consumer of the log, what it has not read or not acknowledged yet."""
        ...

    def heads_needing(self, execution_ids: Sequence[str]) -> dict[str, str]:
        """Return those executions whose head still needs the log's entries, and why."""
        ...

    def trim(self, before: Position) -> int:
        """Remove all entries before a position, and return how many those were."""
        ...

    def staging(self) -> Self:
        """Return the log in the making, which a restore fills and `adopt` makes the log."""
        ...

    def put(self, page: Page) -> None:
        """Append entries at the positions that they have.

        Raises:
            ServerError: one of them is not behind all that is there.

        """
        ...

    def adopt(self, staging: Self, added: int) -> bool:
        """Make a log in the making, which had so many entries, the log; False if there is one."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def following(position: Position) -> Position:
    """Return the position right behind another: no entry can come between."""
    milliseconds, sequence = split(position)
    return f"{milliseconds}-{sequence + 1}"


def preceding(position: Position) -> Position:
    """Return the position right before another: no entry can come between."""
    milliseconds, sequence = split(position)
    return f"{milliseconds}-{sequence - 1}" if sequence else f"{milliseconds - 1}-{SEQUENCE_MAX}"


def decoded(pages: Iterable[Page]) -> Iterator[list[tuple[Position, Event]]]:
    """Decode pages, for `by_cp.projections.folding.fold` and its like.

    The entries are plain tuples: to make an `Entry` of each takes as long as to decode it.

    Raises:
        CorruptEvent: an entry is no event of a known schema; the text has its position.

    """
    for page in pages:
        try:
            events = CODEC.decode_all([data for _, data in page])
        except CorruptEvent:
            _raise_with_position(page)
            raise
        yield list(zip([position for position, _ in page], events, strict=True))


def _raise_with_position(page: Sequence[tuple[Position, bytes]]) -> None:
    for position, data in page:
        try:
            CODEC.decode(data)
        except CorruptEvent as error:
            raise CorruptEvent(f"at {position}: {error}") from error


@contextmanager
def without_gc() -> Iterator[None]:
    """Let the garbage collector rest meanwhile: for folds, whose data has no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
