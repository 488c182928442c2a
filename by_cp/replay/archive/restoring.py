"""An archive put back into a server.

The log is put together under another name and becomes the log at once, when it is whole: nobody
ever sees, or writes into, half of it. Whatever ends a restore, the next one compares what is there
with the archive and goes on behind it. Only if the server has a log already, which the archive
continues exactly (it was brought back from an older copy of its own), is that log itself added to.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

from by_cp.errors import ServerError, ServerUnreachable
from by_cp.log.rawlog import Bounds, RawLog
from by_cp.replay.archive.archiving import Progress
from by_cp.replay.archive.chain import Chain, read_chain
from by_cp.replay.archive.errors import ArchiveError, ArchiveMismatch
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.statemachine.position import BEGINNING, Position, split


class Restored(NamedTuple):
    """What was done."""

    entries: int
    """How many were put into the server."""
    found: int
    """How many were there already."""
    last: Position


def restore(log: RawLog, directory: Path, progress: Progress | None = None) -> Restored:
    """Put an archive back into a server's log. The views are not rebuilt.

    Args:
        log: the server's.
        directory: the archive's.
        progress: is told how many entries were done.

    Raises:
        ArchiveMismatch: the server has a log that the archive does not continue, or one came into
            being meanwhile.
        ArchiveDamaged: a segment is not as it was written.
        ArchiveError: there is no archive, or it cannot be read.
        ServerError: the server is away, or refuses.

    """
    chain = read_chain(directory)
    if not chain.links:
        raise ArchiveError(f"there is nothing in the archive {str(directory)!r}")
    bounds = log.bounds()
    if bounds is not None:
        return _fill(log, directory, bounds, progress)
    staging = log.staging()
    try:
        done = _fill(staging, directory, staging.bounds(), progress)
        if not log.adopt(staging, chain.ordinal):
            raise ArchiveMismatch(
                "a log came into being while this one was put together: stop whoever writes to "
                "the server, remove that log, and restore again"
            )
        _check_whole(log, chain)
    finally:
        staging.close()
    return done


def _fill(
    target: RawLog, directory: Path, bounds: Bounds | None, progress: Progress | None
) -> Restored:
    reader = ArchiveReader(directory)
    last, found = _found(target, reader, bounds, progress)
    put = 0
    for page in reader.pages(last):
        try:
            target.put(page)
        except ServerUnreachable:
            raise
        except ServerError as error:
            raise ArchiveMismatch(
                f"the server took nothing more after {last} ({error}): someone else writes to it"
            ) from error
        last = page[-1][0]
        put += len(page)
        if progress is not None:
            progress(len(page))
    return Restored(put, found, last)


def _found(
    target: RawLog, reader: ArchiveReader, bounds: Bounds | None, progress: Progress | None
) -> tuple[Position, int]:
    """Compare what is there with the archive, and return where it ends and how many those are."""
    last, found = BEGINNING, 0
    archived = itertools.chain.from_iterable(reader.pages())
    for page in target.pages():
        for entry, expected in itertools.zip_longest(page, itertools.islice(archived, len(page))):
            if expected is None:
                raise ArchiveMismatch(
                    f"the server has all of the archive and goes on behind it, at {entry[0]}: "
                    "there is nothing to restore"
                )
            if entry != expected:
                raise ArchiveMismatch(
                    f"the server has a log already, and at {entry[0]} it is not the one in the "
                    "archive; restore into a server without one"
                )
        last, found = page[-1][0], found + len(page)
        if progress is not None:
            progress(len(page))
    if bounds is not None and split(bounds.last) > split(last):
        raise ArchiveMismatch(
            f"the server had a log already, which went to {bounds.last} and was trimmed; restore "
            "into a server without one"
        )
    return last, found


def _check_whole(log: RawLog, chain: Chain) -> None:
    bounds = log.bounds()
    if bounds is None or (bounds.length, bounds.last) != (chain.entries, chain.last):
        raise ArchiveError(f"the log was restored, but is not what it should be: {bounds}")
