"""The log, folded as far as one likes, and then further."""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterable

from by_cp.log.rawlog import Page, Pages, RawLog, decoded
from by_cp.projections.folding import fold
from by_cp.projections.views import Views, initial
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import BEGINNING, Position, split

Progress = Callable[[int], None]
"""Is told of so many more."""


PAGE = 1_000
"""Entries of a page: shorter than usual, because the server does nothing else meanwhile."""

STEPS_MAX = 100
"""Each step reads over a connection of its own, whose buffer of some 100 KB lies in a cycle: after
so many, even where the garbage collector rests, those are cleared away."""


class Folding:
    """Views at a position of a log that goes on.

    Args:
        log: all of it, or all that follows the views given.
        server: the end of it, where it goes on.
        views: of what was before; changed.
        position: how far those go.
        keep: executions that are not forgotten when they are over; None: none are forgotten.

    """

    def __init__(
        self,
        log: Pages,
        server: RawLog,
        *,
        views: Views | None = None,
        position: Position = BEGINNING,
        keep: Container[str] | None = None,
    ) -> None:
        self.views = initial() if views is None else views
        self.position = position
        self.events = 0
        self.histories: dict[str, list[tuple[Position, Event]]] = {}
        """Executions whose events are wanted, and those that were folded since they are."""
        self._log = log
        self._server = server
        self._keep = keep
        self._steps = 0

    def catch_up(self, progress: Progress | None = None) -> None:
        """Fold all there is.

        Raises:
            ArchiveMismatch: part of the log was trimmed and is nowhere else.
            IllegalTransition: the log breaks the declared table.
            CorruptEvent: an entry is no event.
            ServerError: the server is away, or refuses.

        """
        goes_on = self._log is self._server and self.position != BEGINNING
        read = self._server.continued if goes_on else self._log.pages
        self._fold(read(self.position, count=PAGE), progress)

    def fold_until(self, position: Position, progress: Progress | None = None) -> None:
        """Fold from the beginning up to and with a position.

        Raises:
            ServerError: the server is away, or refuses.

        """
        self._fold(self._log.pages(until=position), progress)

    def advance(self, position: Position) -> None:
        """Fold up to and with a position that the server's log has reached; not back.

        Raises:
            LogTrimmed: the log was trimmed up to here meanwhile.
            ServerError: the server is away, or refuses.

        """
        if not position or split(position) <= split(self.position):
            return
        if self.position == BEGINNING:
            self._fold(self._log.pages(until=position))
        else:
            self._fold(self._server.continued(self.position, position))
        self._steps += 1
        if self._steps % STEPS_MAX == 0 and not gc.isenabled():
            gc.collect(0)

    def _fold(self, pages: Iterable[Page], progress: Progress | None = None) -> None:
        for page in decoded(pages):
            fold(page, self.views, keep=self._keep)
            self._remember(page)
            self.position = page[-1][0]
            self.events += len(page)
            if progress is not None:
                progress(len(page))

    def _remember(self, page: list[tuple[Position, Event]]) -> None:
        if not self.histories:
            return
        for position, event in page:
            history = self.histories.get(getattr(event, "execution_id", ""))
            if history is not None:
                history.append((position, event))
