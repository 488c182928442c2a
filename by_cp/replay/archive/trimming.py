"""The server's log, made shorter: only what is archived, verified, and needed by nobody.

Theory: this is the one thing that cannot be undone, so it trusts nothing. The segments are read and
examined again, their hashes compared with the chain's, and every entry that is to be removed is
compared with the archive's, byte for byte. What must stay is asked of everyone who may need it:
each answers with a `Hold`, the first entry that must stay and why, and the lowest counts. The last
entry of the archive always stays: by it the next archiver knows that it continues the same log.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from by_cp.errors import CorruptEvent
from by_cp.log.rawlog import Bounds, Hold, Page, RawLog, following, preceding
from by_cp.replay.archive.archiving import Progress
from by_cp.replay.archive.chain import Chain, Link
from by_cp.replay.archive.directory import read_whole
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveMismatch, Fault
from by_cp.replay.archive.examine import examine
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.durations import lasting
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import ExecutionEvent
from by_cp.statemachine.position import Position, split

STEP = 10_000
"""Entries that one command removes: the server does nothing else meanwhile."""


class Trimmed(NamedTuple):
    """What was done."""

    entries: int
    """How many were removed."""
    kept: Hold | None
    """Why not more; None when there is no log."""


class Keep(NamedTuple):
    """What stays on the server because it is young."""

    age_ms: int = 24 * 3600 * 1000
    entries: int = 0


def trim(
    log: RawLog,
    directory: Path,
    chain: Chain,
    *,
    keep: Keep | None = None,
    holds: Iterable[Hold] = (),
    progress: Progress | None = None,
    removed: Progress | None = None,
) -> Trimmed:
    """Trim the log. The caller holds the directory's lock.

    Args:
        log: the server's.
        directory: the archive's.
        chain: the archive's, as `archive` returned it.
        keep: what stays whoever needs it.
        holds: what else must stay: behind a snapshot, or a consumer that the server does not know.
        progress: is told how many entries were compared.
        removed: is told how many were removed.

    Raises:
        ArchiveDamaged: a segment is not as it was written; nothing was trimmed.
        ArchiveMismatch: the server has something else there; nothing was trimmed.
        ServerError: the server is away, or refuses.

    """
    bounds = log.bounds()
    if bounds is None or not bounds.first or not chain.links:
        return Trimmed(0, None)
    keep = keep or Keep()
    hold = _lowest(log, chain, keep, holds)
    if split(hold.position) <= split(bounds.first):
        return Trimmed(0, hold)
    _check_segments(directory, chain, bounds.first, hold.position)
    steps, needed = _compare(log, directory, bounds, hold, keep, progress)
    hold = min(hold, needed, key=_place) if needed else hold
    hold = min(
        hold, _lowest(log, chain, keep, holds), key=_place
    )  # someone may have come meanwhile
    entries = 0
    for step in (*steps, hold.position):
        if split(step) <= split(hold.position):
            count = log.trim(step)
            entries += count
            if removed is not None:
                removed(count)
    return Trimmed(entries, hold)


def _place(hold: Hold) -> tuple[int, int]:
    return split(hold.position)


def _lowest(log: RawLog, chain: Chain, keep: Keep, holds: Iterable[Hold]) -> Hold:
    young = Hold(
        f"{max(log.now_ms() - keep.age_ms, 0)}-0",
        f"the last {lasting(keep.age_ms)} is kept",
    )
    anchor = Hold(chain.last, "the last entry of the archive stays, to go on from")
    return min((anchor, young, *log.consumers(), *holds), key=_place)


def _check_segments(directory: Path, chain: Chain, first: Position, before: Position) -> None:
    """Examine all segments that hold what is to be removed."""
    for link in chain.links:
        header = link.header
        if split(header.last) >= split(first) and split(header.first) < split(before):
            _check_segment(directory, link)


def _check_segment(directory: Path, link: Link) -> None:
    data = read_whole(directory / link.name)
    faults = examine(link.name, data).faults
    if not faults and hashlib.sha256(data).digest() != link.sha256:
        faults = [Fault(link.name, 0, len(data), "its SHA-256 is not the one in the chain")]
    if faults:
        raise ArchiveDamaged(faults)


def _compare(
    log: RawLog,
    directory: Path,
    bounds: Bounds,
    hold: Hold,
    keep: Keep,
    progress: Progress | None,
) -> tuple[list[Position], Hold | None]:
    """Compare what is to be removed with the archive, and ask the heads about it.

    Returns:
        Positions before which to trim, one after the other, and what must stay of it.

    """
    archived = itertools.chain.from_iterable(
        ArchiveReader(directory).pages(preceding(bounds.first))
    )
    left = bounds.length - keep.entries
    steps: list[Position] = []
    done = 0
    for page in _until(log.pages(), hold.position):
        if page != list(itertools.islice(archived, len(page))):
            raise ArchiveMismatch(
                f"between {page[0][0]} and {page[-1][0]} the server's log has other entries than "
                "the archive: nothing was trimmed"
            )
        if needed := _needed(log, page[: max(left, 0)]):
            return steps, needed
        if len(page) > left:
            return steps, Hold(page[max(left, 0)][0], f"the last {keep.entries:,} entries are kept")
        left -= len(page)
        done += len(page)
        if done >= STEP:
            steps.append(following(page[-1][0]))
            done = 0
        if progress is not None:
            progress(len(page))
    return steps, None


def _until(pages: Iterator[Page], before: Position) -> Iterator[Page]:
    end = split(before)
    for page in pages:
        if split(page[-1][0]) < end:
            yield page
        else:
            if rest := [entry for entry in page if split(entry[0]) < end]:
                yield rest
            return


def _needed(log: RawLog, page: Page) -> Hold | None:
    """Return the first entry of a page that an execution's head still needs."""
    executions: dict[str, Position] = {}
    for position, data in page:
        try:
            event = CODEC.decode(data)
        except CorruptEvent as error:
            found = Hold(position, f"this by-cp cannot read what is there: {error}")
            before = _earliest(log, executions)
            return min(found, before, key=_place) if before else found
        if isinstance(event, ExecutionEvent):
            executions.setdefault(event.execution_id, position)
    return _earliest(log, executions)


def _earliest(log: RawLog, executions: dict[str, Position]) -> Hold | None:
    needing = log.heads_needing(list(executions))
    holds = [Hold(executions[execution_id], reason) for execution_id, reason in needing.items()]
    return min(holds, key=_place, default=None)
