"""An archive read like a server's log; and the whole log, the older part of it from the archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from by_cp.log.rawlog import PAGE, LogTrimmed, Page, RawLog, preceding
from by_cp.replay.archive.chain import read_headers
from by_cp.replay.archive.continuing import End, next_ordinal
from by_cp.replay.archive.directory import segment_name
from by_cp.replay.archive.errors import ArchiveError, ArchiveMismatch
from by_cp.replay.archive.format import Header
from by_cp.replay.archive.segment import segment_pages
from by_cp.statemachine.position import BEGINNING, Position, split


class ArchiveReader:
    """Reads an archive. What was archived since it was made is read, too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def headers(self) -> list[Header]:
        """Return the segments' headers, in order.

        Raises:
            ArchiveDamaged: a header is damaged, or a segment is missing.
            ArchiveError: there is no such directory, or it cannot be read.

        """
        return read_headers(self.directory)

    def pages(
        self, after: Position = BEGINNING, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the entries after a position, up to and with `until`, or else to the end.

        Raises:
            ArchiveDamaged: what was to be read is not as it was written.
            ArchiveError: there is no such directory, or it cannot be read.

        """
        begin, end = split(after), None if until is None else split(until)
        for header in self.headers():
            if split(header.last) <= begin:
                continue
            if end is not None and split(header.first) > end:
                return
            path = self.directory / segment_name(header.number)
            for page in segment_pages(path, after, until):
                for start in range(0, len(page), count):
                    yield page[start : start + count]

    def entries(self) -> int:
        """Return how many entries are in the archive."""
        return sum(header.entries for header in self.headers())

    def end(self) -> End | None:
        """Return where the archive ends; None when it is empty."""
        headers = self.headers()
        if not headers:
            return None
        last = headers[-1]
        data = self.entry(last.last)
        if data is None:  # a header that says other than its blocks
            raise ArchiveError(f"{segment_name(last.number)} has no entry {last.last}; verify it")
        return End(last.last, data, last.ordinal + last.entries)

    def entry(self, position: Position) -> bytes | None:
        """Return one entry; None when it is not there."""
        for page in self.pages(preceding(position), position):
            return page[0][1]
        return None


class WholeLog:
    """The log from its first entry: from the archive what is there, the rest from the server.

    An archiver may trim the server while this reads: what has gone there is in the archive by then.
    """

    def __init__(self, archive: ArchiveReader, server: RawLog) -> None:
        self.archive = archive
        self.server = server

    def pages(
        self, after: Position = BEGINNING, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the entries after a position, up to and with `until`, or else to the end.

        Raises:
            ArchiveMismatch: the server has trimmed what the archive has not, or is another's.
            ArchiveDamaged: what was to be read of the archive is not as it was written.
            ServerError: the server is away, or refuses.

        """
        at = after
        while True:
            end = self.archive.end()
            for page in self.archive.pages(at, until, count):
                yield page
                at = page[-1][0]
            if self.archive.end() != end:
                continue
            try:
                for page in self._from_server(end, at, until, count):
                    yield page
                    at = page[-1][0]
            except (LogTrimmed, ArchiveMismatch):
                # An archiver may have taken it away meanwhile; then it is in the archive now.
                if self.archive.end() == end:
                    raise
            else:
                return

    def _from_server(
        self, end: End | None, at: Position, until: Position | None, count: int
    ) -> Iterator[Page]:
        """Give what is on the server after a position at or behind the end of the archive."""
        if end is not None and split(at) < split(end.last):
            return  # `until` was before it
        next_ordinal(end, self.server, self.server.bounds())
        pages = self.server.pages(at, until, count)
        first = next(pages, None)
        bounds = self.server.bounds()
        # Only now is it sure that nothing was trimmed before the first page was read; the reader
        # itself watches over those that follow.
        known = end.ordinal if end is not None else 0
        if bounds and bounds.trimmed > known and split(bounds.first or bounds.last) > split(at):
            raise LogTrimmed(at)
        if first is not None:
            yield first
            yield from pages
