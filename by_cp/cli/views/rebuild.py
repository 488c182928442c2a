"""`by-cp views rebuild`: put right what is not as the log says."""

from __future__ import annotations

import msgspec

from by_cp.cli.durations import Duration, Lasting
from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.running import AsJson, Url
from by_cp.cli.views.work import Archive, FromSnapshot, tell, working
from by_cp.replay.drift.checking import prepare
from by_cp.replay.drift.rebuilding import Rebuilt
from by_cp.replay.drift.rebuilding import rebuild as rebuild_views
from by_cp.replay.drift.starting import start_at


def rebuild(
    *,
    archive: Archive = None,
    from_snapshot: FromSnapshot = None,
    retention: Lasting = Duration(days=7),
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Put right the live rows that are not as the log says.

    It touches no others, and the system may work meanwhile. Of a server that has nothing but the
    log, that is all of them. Each row is put back in one call of the server, and only if it is
    still as it was when it was compared. Each field that was put right is a line on stderr.
    Interrupted, it has done part of it; the next run does the rest.

    Example: `by-cp views rebuild`

    Exit codes: 0 all rows are as the log says now; 1 some are not, or an error; 2 wrong usage;
    130 interrupted.

    Args:
        archive: Directory of the archive that has what was trimmed from the server.
        from_snapshot: A snapshot of this log: what was before it is not folded again.
        retention: How long heads of settled executions are kept; those that should still be there
            are put back, too.
        as_json: Print one JSON document, with all that was put right.
        url: The server.

    """
    done = Rebuilt()

    def interrupted() -> str:
        return f"at least {len(done.changed):,} rows were put right; the next run does the rest"

    with (
        told_if_interrupted(interrupted),
        working(url, archive, shown=not as_json) as work,
    ):
        start = start_at(from_snapshot, work.log)
        folding, names = prepare(work.log, work.server, work.live, start, work.watch, lean=False)
        retention_ms = retention.ms
        rebuild_views(
            *(folding, names, work.live, work.log),
            retention_ms=retention_ms,
            watch=work.watch,
            rebuilt=done,
        )
    if as_json:
        show_json({"ok": not done.left} | msgspec.to_builtins(done))
    else:
        show(
            [
                ("rebuilt", f"{len(done.changed):,} rows"),
                ("log", f"{done.events:,} events, up to {done.position}"),
            ]
        )
        tell(done.changed, "put right")
        if done.left:
            show([("left", f"{done.left:,} rows change too fast; run it again")])
    return 1 if done.left else 0
