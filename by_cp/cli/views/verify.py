"""`by-cp views verify`: do the live rows say what the log says?"""

from __future__ import annotations

import msgspec

from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.running import AsJson, Url
from by_cp.cli.views.work import Archive, FromSnapshot, tell, working
from by_cp.replay.drift.checking import check
from by_cp.replay.drift.starting import start_at


def verify(
    *,
    archive: Archive = None,
    from_snapshot: FromSnapshot = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Fold the log, and compare every live row with it.

    The system may work meanwhile. Each field that differs is a line on stderr. Settled executions
    whose head has expired are no difference. It changes nothing; `by-cp views rebuild` puts right
    what differs.

    Example: `by-cp views verify`

    Exit codes: 0 nothing differs; 1 something does, or an error; 2 wrong usage; 130 interrupted.

    Args:
        archive: Directory of the archive that has what was trimmed from the server.
        from_snapshot: A snapshot of this log: what was before it is not folded again.
        as_json: Print one JSON document, with all differences.
        url: The server.

    """
    with (
        told_if_interrupted(lambda: "not all rows were compared; nothing was changed"),
        working(url, archive, shown=not as_json) as work,
    ):
        verdict = check(
            work.log, work.server, work.live, start_at(from_snapshot, work.log), work.watch
        )
    if as_json:
        show_json({"ok": not verdict.differences} | msgspec.to_builtins(verdict))
    else:
        differing = len(verdict.differences)
        said = f"{differing:,} of them differ" if differing else "as the log says"
        show(
            [
                ("rows", f"{verdict.rows:,}, {said}"),
                ("log", f"{verdict.events:,} events, up to {verdict.position}"),
            ]
        )
        tell(verdict.differences, "differs")
    return 1 if verdict.differences else 0
