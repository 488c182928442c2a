"""Where a fold begins: at a snapshot that is of this very log; and how a snapshot is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from by_cp.errors import InvalidInput
from by_cp.log.rawlog import Pages, RawLog, preceding
from by_cp.replay import snapshot
from by_cp.replay.drift.checking import Start
from by_cp.replay.drift.folding import Folding, Progress
from by_cp.replay.snapshot import Snapshot, SnapshotUnusable
from by_cp.statemachine.position import Position, split


def start_at(path: Path | None, log: Pages) -> Start:
    """Return where to begin: at the snapshot, or with none at the beginning.

    Raises:
        SnapshotUnusable: it is damaged, of another release, or of another log.
        ServerError: the server is away, or refuses.

    """
    if path is None:
        return Start()
    found = snapshot.read(path)
    if _anchor(log, found.position) != found.anchor:
        raise SnapshotUnusable(
            f"{path} ends with an entry at {found.position} that is not in this log: it is of "
            "another log, or the entry was trimmed; give the archive, or make the snapshot anew"
        )
    return Start(found.views, found.position, found.events)


def newest_at(path: Path, log: Pages, until: Position, complain: Callable[[str], None]) -> Start:
    """Return where to begin to fold up to a position: at the newest snapshot that is not after it.

    One that cannot be used is passed over, for the one before; with none left, the fold begins at
    the beginning. So whatever lies there changes how long it takes, and never what comes out.

    Args:
        path: a snapshot, or a directory of them.
        log: of which they must be.
        until: the position.
        complain: is told of each that was passed over, and why.

    Raises:
        InvalidInput: nothing is there.
        ServerError: the server is away, or refuses.

    """
    if not path.exists():
        raise InvalidInput(f"there is no snapshot and no directory of snapshots at {path}")
    found: list[tuple[tuple[int, int], Path]] = []
    for file in path.glob(f"*{snapshot.SUFFIX}") if path.is_dir() else (path,):
        try:
            at = split(snapshot.position_of(file))
        except (SnapshotUnusable, ValueError) as error:
            complain(str(error))
        else:
            found += [(at, file)] if at <= split(until) else []
    for _, file in sorted(found, reverse=True):
        try:
            return start_at(file, log)
        except SnapshotUnusable as error:
            complain(str(error))
    return Start()


def taken(folding: Folding, log: Pages, before: Start) -> Snapshot:
    """Return a snapshot of what was folded.

    Raises:
        SnapshotUnusable: there is no log.

    """
    if not (anchor := _anchor(log, folding.position)):
        raise SnapshotUnusable("there is no log to take a snapshot of")
    events = before.events + folding.events
    return Snapshot(folding.views, folding.position, events, anchor)


def equals_replay(
    found: Snapshot, log: Pages, server: RawLog, progress: Progress | None = None
) -> bool:
    """Fold the log again, from its beginning to a snapshot's position, and compare."""
    again = Folding(log, server, keep=found.views.executions.keys())
    again.fold_until(found.position, progress)
    return snapshot.encoded(again.views) == snapshot.encoded(found.views)


def _anchor(log: Pages, position: Position) -> bytes:
    for page in log.pages(preceding(position), position):
        at, entry = page[-1]
        return snapshot.anchor_of(entry) if at == position else b""
    return b""
