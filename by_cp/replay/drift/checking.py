"""A whole server checked: its rows listed, its log folded, the two compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from by_cp.errors import ByCpError
from by_cp.log.live import LiveRows, Names
from by_cp.log.rawlog import Pages, RawLog
from by_cp.projections.views import Views
from by_cp.replay.drift.folding import Folding, Progress
from by_cp.replay.drift.verifying import Difference, Verdict, verify
from by_cp.statemachine.position import BEGINNING, Position


class LogIncomplete(ByCpError):
    """Part of the log is not there, so that nothing can be folded from it."""


class Start(NamedTuple):
    """Where folding begins: at a snapshot, or at the beginning of the log."""

    views: Views | None = None
    position: Position = BEGINNING
    events: int = 0


class Watch(NamedTuple):
    """Who is told how far the work is."""

    folded: Progress = lambda _: None
    compared: Progress = lambda _: None
    found: Callable[[int], None] = lambda _: None
    """How many rows there are to compare."""


def prepare(
    log: Pages, server: RawLog, live: LiveRows, start: Start, watch: Watch, *, lean: bool = True
) -> tuple[Folding, Names]:
    """List the live rows, and fold the log to its end.

    Args:
        log: all of it.
        server: its end, where it goes on.
        live: the server's rows.
        start: where folding begins.
        watch: is told of the progress.
        lean: forget executions that are over and have no head.

    Raises:
        LogIncomplete: part of the log is not there.
        ServerError: the server is away, or refuses.

    """
    bounds = server.bounds()
    if log is server and start.views is None and bounds is not None and bounds.trimmed:
        raise LogIncomplete(
            f"{bounds.trimmed:,} entries were trimmed from the server's log; give the archive that "
            "has them, or a snapshot from which on all are there"
        )
    names = live.names()
    keep = names.executions if lean else None
    folding = Folding(log, server, views=start.views, position=start.position, keep=keep)
    folding.catch_up(watch.folded)
    return folding, names


def differences(
    folding: Folding, live: LiveRows, names: Names, watch: Watch
) -> Iterator[Difference]:
    """Give what differs; see `verify`."""
    watch.found(len(names.executions) + len(names.rows))
    yield from verify(
        folding,
        live,
        known=names.executions,
        others=names.rows,
        indexes=names.indexes,
        progress=watch.compared,
    )


def check(
    log: Pages,
    server: RawLog,
    live: LiveRows,
    start: Start | None = None,
    watch: Watch | None = None,
) -> Verdict:
    """Compare all live rows of a server with its log.

    Raises:
        LogIncomplete: part of the log is not there.
        CorruptEvent: an entry is no event.
        ServerError: the server is away, or refuses.

    """
    watch = watch or Watch()
    folding, names = prepare(log, server, live, start or Start(), watch)
    found = list(differences(folding, live, names, watch))
    rows = len(names.executions) + len(names.rows)
    return Verdict(folding.position, folding.events, rows, found)
