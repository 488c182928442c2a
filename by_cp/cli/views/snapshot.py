"""`by-cp views snapshot`: the views at a position, in a file."""

from __future__ import annotations

from pathlib import Path

from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.running import AsJson, Url
from by_cp.cli.views.work import Archive, FromSnapshot, working
from by_cp.replay import snapshot as snapshots
from by_cp.replay.drift.checking import prepare
from by_cp.replay.drift.starting import equals_replay, start_at, taken


def snapshot(
    file: Path,
    *,
    check: bool = False,
    archive: Archive = None,
    from_snapshot: FromSnapshot = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Write the views, folded from the log, into a file.

    Later folds go on from there. It is written whole or not at all; in a directory, under the name
    of its position. Executions that are settled and whose head has expired are not in it. `verify`
    and `rebuild` take it with --from-snapshot, `by-replay --at` with --snapshots.

    Example: `by-cp views snapshot views.snapshot`

    Exit codes: 0 done; 1 an error, or with --check: it is not what the log gives; 2 wrong usage;
    130 interrupted.

    Args:
        file: Where it is written: a file, or a directory that is there.
        check: Write nothing: compare the file with the log, folded from its beginning.
        archive: Directory of the archive that has what was trimmed from the server.
        from_snapshot: A snapshot of this log: what was before it is not folded again.
        as_json: Print one JSON document.
        url: The server.

    """
    equal = True
    interrupted = f"{file} was not checked" if check else f"{file} was not written"
    with (
        told_if_interrupted(lambda: interrupted),
        working(url, archive, shown=not as_json) as work,
    ):
        if check:
            start_at(file, work.log)
            found = snapshots.read(file)
            equal = equals_replay(found, work.log, work.server, work.watch.folded)
        else:
            start = start_at(from_snapshot, work.log)
            folding, _ = prepare(work.log, work.server, work.live, start, work.watch)
            found = taken(folding, work.log, start)
            interrupted = f"{file} was written whole or not at all"
            snapshots.write(found, snapshots.named(found.position, file))
    sha256 = snapshots.digest(found.views)
    told = {
        "position": found.position,
        "events": found.events,
        "executions": len(found.views.executions),
        "sha256": sha256,
    }
    if as_json:
        show_json({"ok": equal} | told)
    else:
        said = ("as the log says" if equal else "NOT as the log says") if check else "written"
        show(
            [
                ("snapshot", said),
                ("log", f"{found.events:,} events, up to {found.position}"),
                ("SHA-256", sha256),
            ]
        )
    return 0 if equal else 1
