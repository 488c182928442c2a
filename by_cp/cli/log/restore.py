"""`by-cp log restore`: from an archive into a server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from by_cp.adapters import raw_log_at
from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, server_url
from by_cp.log.rawlog import without_gc
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.archive.restoring import restore as restore_log


def restore(
    directory: Path,
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Put an archive back into a server that has no log.

    The log appears at once, when it is whole; whatever ends a restore, the next one goes on behind
    it. A server that has a log is left alone, unless the archive continues that log exactly.

    Example: `by-cp log restore /var/lib/by-cp/archive`

    Exit codes: 0 done; 1 an error; 2 wrong usage; 130 interrupted.

    Args:
        directory: Where the archive is.
        as_json: Print one JSON document.
        url: The server.

    """
    total = ArchiveReader(directory).entries()
    interrupted = (
        "the server has its log whole, or none yet; the next run goes on with what is put together"
    )
    with (
        told_if_interrupted(lambda: interrupted),
        closing(raw_log_at(server_url(url))) as log,
        progress("restoring", total, "entries", shown=not as_json) as advance,
        without_gc(),
    ):
        if log.bounds() is not None:
            interrupted = "the log may be continued in part; the next run goes on behind it"
        done = restore_log(log, directory, advance)
    if as_json:
        show_json({"restored": done.entries, "found": done.found, "last": done.last})
    else:
        found = f"; {done.found:,} were there already" if done.found else ""
        show(
            [
                ("restored", f"{done.entries:,} entries, up to {done.last}{found}"),
                ("views", "are not restored: rebuild them from the log"),
            ]
        )
    return 0
