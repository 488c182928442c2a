"""Where histories are read from: a server, or a file that was made of its log.

`by-replay` asks one source. What a server no longer has, because it was settled long ago or because
it was archived, is searched for; so is whatever is not the whole id of an execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from by_cp.adapters import heads_at, raw_log_at
from by_cp.errors import InvalidInput
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import BEGINNING, Position

if TYPE_CHECKING:
    from by_cp.log.rawlog import Page, Pages, RawLog
    from by_cp.replay.archive.reading import ArchiveReader

PAGE = 2_000
"""Entries that are read at a time."""

Entry = tuple[Position, Event]
"""As the log's contract has it; to import that takes longer than most histories."""

Progress = Callable[[int], None]
"""Told, while much is read, how many entries more were."""


class Source(Protocol):
    """Something that has a log in it."""

    def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events, in order, if that takes no search; else none."""
        ...

    def requests(self, text: str) -> list[Entry]:
        """Return the Requested events of the executions that a text may mean, in order.

        It is the beginning of their id, or the id of their message, session or trace.
        """
        ...

    def events_of(self, execution_id: str, since: Position) -> list[Entry]:
        """Return an execution's events, in order, the first of which is at a position."""
        ...

    def entries(
        self, after: Position = BEGINNING, until: Position | None = None
    ) -> Iterator[list[Entry]]:
        """Yield what stands after a position, up to and with another one, in pages."""
        ...

    def log(self) -> Pages | None:
        """Return the entries as they stand in the log; None if it only has what they mean."""
        ...

    def follow(self, after: Position) -> Iterator[list[Entry]]:
        """Yield what is appended after a position, for ever; nothing, now and then, if nothing.

        Raises:
            InvalidInput: nothing is ever appended there.

        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class PagesSource:
    """A log that is read in pages: every question is a search, but for what is known by then.

    `log` gives it; it is asked only when something is to be read.
    """

    def __init__(self, log: Callable[[], Pages], progress: Progress | None = None) -> None:
        self._open = log
        self._progress = progress

    def history(self, _execution_id: str) -> list[Entry]:
        """Return nothing: it would take a search."""
        return []

    def requests(self, text: str) -> list[Entry]:
        """Return the Requested events of the executions that a text may mean."""
        from by_cp.replay import searching

        return searching.requests(self._log(), text)

    def events_of(self, execution_id: str, since: Position) -> list[Entry]:
        """Return an execution's events."""
        from by_cp.replay import searching

        return searching.events_of(self._log(), execution_id, since)

    def entries(
        self, after: Position = BEGINNING, until: Position | None = None
    ) -> Iterator[list[Entry]]:
        """Yield what stands after a position."""
        from by_cp.log.rawlog import decoded

        return decoded(self._log().pages(after, until))

    def log(self) -> Pages:
        """Return the entries as they stand in the log."""
        return self._open()

    def follow(self, after: Position) -> Iterator[list[Entry]]:
        """Refuse: nothing comes after what is here."""
        raise InvalidInput(f"nothing is appended to a file after {after}: --follow needs a server")

    def close(self) -> None:
        """End it."""

    def _log(self) -> Pages:
        return Counted(self._open(), self._progress)


class ServerSource(PagesSource):
    """The log on a server; with an archive, what the server no longer has is read from there.

    Raises:
        InvalidInput: the URL is none.
        ServerUnreachable: nobody answers there.

    """

    def __init__(
        self, url: str, archive: str | None = None, progress: Progress | None = None
    ) -> None:
        super().__init__(self._whole, progress)
        self._url = url
        self._archive = archive
        self._heads = heads_at(url)
        self._server: RawLog | None = None

    def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events, if its head is still there."""
        found = self._heads.history(execution_id)
        if found is None:
            return []
        entries, missing = found
        if missing and self._archive:
            entries = [*self._archived(missing), *entries]
        return entries

    def events_of(self, execution_id: str, since: Position) -> list[Entry]:
        """Return an execution's events."""
        return self.history(execution_id) or super().events_of(execution_id, since)

    def entries(
        self, after: Position = BEGINNING, until: Position | None = None
    ) -> Iterator[list[Entry]]:
        """Yield what stands after a position, without a hole.

        Raises:
            InvalidInput: what is asked for is not on the server, and there is no archive.
            LogTrimmed: the entry at the position is no longer there.

        """
        from by_cp.log.rawlog import decoded

        if self._archive or after == BEGINNING:
            self._check_beginning()
            return super().entries(after, until)
        return decoded(_counted(self._raw().continued(after, until), self._progress))

    def follow(self, after: Position) -> Iterator[list[Entry]]:
        """Yield what is appended after a position."""
        return self._heads.follow(after)

    def close(self) -> None:
        """End the connections."""
        self._heads.close()
        if self._server is not None:
            self._server.close()

    def _check_beginning(self) -> None:
        bounds = None if self._archive else self._raw().bounds()
        if bounds and bounds.trimmed:
            raise InvalidInput(
                f"the oldest {bounds.trimmed:,} entries of the log are no longer on the server: "
                "give the archive that has them with --archive"
            )

    def _raw(self) -> RawLog:
        if self._server is None:
            self._server = raw_log_at(self._url)
        return self._server

    def _whole(self) -> Pages:
        if not self._archive:
            return self._raw()
        from by_cp.replay.archive.reading import WholeLog

        return WholeLog(_archive_in(self._archive), self._raw())

    def _archived(self, positions: list[Position]) -> Iterator[Entry]:
        """Yield entries of the archive: those that were trimmed are the oldest of an execution."""
        from by_cp.log.rawlog import decoded, preceding

        reader = _archive_in(str(self._archive))
        for position in positions:
            for page in decoded(reader.pages(preceding(position), position)):
                yield from page


class Counted:
    """Pages of a log, of which somebody is told how many entries there were."""

    def __init__(self, log: Pages, progress: Progress | None) -> None:
        self._log = log
        self._progress = progress

    def pages(
        self, after: Position = BEGINNING, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the entries after a position."""
        return _counted(self._log.pages(after, until, count), self._progress)


def _counted(pages: Iterable[Page], progress: Progress | None) -> Iterator[Page]:
    for page in pages:
        yield page
        if progress:
            progress(len(page))


def _archive_in(directory: str) -> ArchiveReader:
    from pathlib import Path

    from by_cp.replay.archive.reading import ArchiveReader

    return ArchiveReader(Path(directory))
