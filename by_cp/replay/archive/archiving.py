"""A server's log into an archive: what is new there, sealed in segments.

Theory: the server is asked for what follows the last sealed segment, once it is sure that it goes
on exactly there (`continuing.py`), and a segment is there whole or not at all. So whoever was
killed, at any moment, can be repeated: nothing is lost, nothing is there twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from by_cp.log.rawlog import PAGE, Bounds, LogTrimmed, Page, RawLog
from by_cp.replay.archive.chain import Chain, read_chain, write_manifest
from by_cp.replay.archive.continuing import next_ordinal
from by_cp.replay.archive.directory import segment_name, written
from by_cp.replay.archive.errors import ArchiveMismatch
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.archive.writer import SegmentWriter
from by_cp.statemachine.position import split

Progress = Callable[[int], None]
"""Is told how many entries were done since it was last told."""


class Limits(NamedTuple):
    """When a segment is sealed and the next one begun."""

    entries: int = 100_000
    bytes: int = 64 * 1024 * 1024


def archive(
    log: RawLog,
    directory: Path,
    *,
    limits: Limits | None = None,
    accept_gap: bool = False,
    progress: Progress | None = None,
) -> Chain:
    """Archive what the log has that the archive has not, and return the chain as it is then.

    What is appended meanwhile is left for the next time. The caller holds the directory's lock.

    Args:
        log: the server's.
        directory: the archive's.
        limits: of a segment.
        accept_gap: go on although the server trimmed entries that are not in the archive; the gap
            can be seen in it for ever.
        progress: is told how many entries were done.

    Raises:
        ArchiveMismatch: the server's log is not the one with which the archive ends.
        ArchiveDamaged: the end of the archive is not as it was written.
        ArchiveError: it cannot be read or written.
        ServerError: the server is away, or refuses.

    """
    limits = limits or Limits()
    chain = read_chain(directory)
    bounds = log.bounds()
    if bounds is None and not chain.links:
        return chain
    ordinal = next_ordinal(ArchiveReader(directory).end(), log, bounds, accept_gap=accept_gap)
    write_manifest(directory, chain.links)  # a process that was killed may have left it behind
    try:
        pages = _new_pages(log, chain, bounds, min(PAGE, limits.entries))
        for page in pages:
            chain = _segment(directory, chain, ordinal, page, pages, limits, progress)
            ordinal = chain.ordinal
            write_manifest(directory, chain.links)
    except LogTrimmed as error:
        raise ArchiveMismatch(
            f"someone else trims the server's log while it is archived ({error.after} has gone)"
        ) from error
    return chain


def _new_pages(log: RawLog, chain: Chain, bounds: Bounds | None, count: int) -> Iterator[Page]:
    if bounds is None or split(bounds.last) <= split(chain.last):
        return iter(())
    if bounds.first and split(bounds.first) <= split(chain.last):
        return log.continued(chain.last, bounds.last, count)
    return log.pages(chain.last, bounds.last, count)


def _segment(
    directory: Path,
    chain: Chain,
    ordinal: int,
    page: Page,
    pages: Iterator[Page],
    limits: Limits,
    progress: Progress | None,
) -> Chain:
    """Write one segment, of a page and those that follow it, and return the chain with it."""
    with written(directory / segment_name(len(chain.links) + 1)) as file:
        writer = SegmentWriter(chain, ordinal, file)
        for next_page in itertools.chain([page], pages):
            writer.add(next_page)
            if progress is not None:
                progress(len(next_page))
            if writer.entries >= limits.entries or writer.bytes >= limits.bytes:
                break
        link = writer.seal()
    return Chain((*chain.links, link))
