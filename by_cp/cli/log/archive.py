"""`by-cp log archive`: from the server into files, and then from the server away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from by_cp.adapters import raw_log_at
from by_cp.cli.durations import Duration, Lasting
from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, server_url
from by_cp.cli.tables import counted
from by_cp.log.rawlog import Hold, RawLog, without_gc
from by_cp.replay.archive.archiving import archive as archive_log
from by_cp.replay.archive.chain import Chain
from by_cp.replay.archive.directory import locked
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.archive.trimming import Keep, Trimmed
from by_cp.replay.archive.trimming import trim as trim_log
from by_cp.replay.snapshot import read


def archive(
    directory: Path,
    *,
    trim: bool = True,
    keep: Lasting = Duration(days=1),
    keep_entries: int = 0,
    behind_snapshot: Path | None = None,
    accept_gap: bool = False,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Archive the log into a directory, and trim the server behind it.

    It goes on where the last one ended, however that ended. The server is trimmed only of what was
    read back from the archive and compared, and only of its oldest part: up to the first entry that
    is younger than --keep, not read yet by a consumer of the log, or of an execution that is not
    settled or whose head has not expired (a dead letter alone keeps nothing back).

    Example: `by-cp log archive /var/lib/by-cp/archive --keep 7d`

    Exit codes: 0 done; 1 an error; 2 wrong usage; 130 interrupted.

    Args:
        directory: Where the archive is; made if it is not there.
        trim: Trim the server.
        keep: What is younger stays on the server, such as 12h or 7d.
        keep_entries: So many entries stay on the server at least.
        behind_snapshot: A snapshot of the views: what it needs to go on from stays on the server.
        accept_gap: Go on although entries were trimmed that nobody archived.
        as_json: Print one JSON document.
        url: The server.

    """
    trimmed: Trimmed | None = None
    done = _Done(directory)
    with (
        told_if_interrupted(done.in_words),
        closing(raw_log_at(server_url(url))) as log,
        locked(directory),
        without_gc(),
    ):
        done.begin()
        with progress("archiving", _new(log, directory), "entries", shown=not as_json) as advance:
            chain = archive_log(log, directory, accept_gap=accept_gap, progress=advance)
        if trim:
            holds = [_snapshot(behind_snapshot)] if behind_snapshot is not None else []
            kept = Keep(keep.ms, keep_entries)
            with progress("verifying", None, "entries to trim", shown=not as_json) as advance:
                trimmed = trim_log(
                    *(log, directory, chain),
                    keep=kept,
                    holds=holds,
                    progress=advance,
                    removed=done.trim,
                )
        told = _told(chain, done.archived, trimmed)
    if as_json:
        show_json(told)
    else:
        show(_lines(told))
    return 0


class _Done:
    """How far it has gone."""

    def __init__(self, directory: Path) -> None:
        self._archive = ArchiveReader(directory)
        self._before: int | None = None
        self._trimmed = 0

    def begin(self) -> None:
        """Count what was archived before."""
        self._before = self._archive.entries()

    def trim(self, count: int) -> None:
        """Count what was removed from the server."""
        self._trimmed += count

    @property
    def archived(self) -> int:
        """How many entries were archived since."""
        return 0 if self._before is None else self._archive.entries() - self._before

    def in_words(self) -> str:
        """Say it, when it is interrupted."""
        return (
            f"{self.archived:,} entries were archived, at least {self._trimmed:,} trimmed; "
            "the next run goes on from there"
        )


def _snapshot(path: Path) -> Hold:
    return Hold(read(path).position, f"the snapshot {path.name} goes on from there")


def _new(log: RawLog, directory: Path) -> int | None:
    bounds, end = log.bounds(), ArchiveReader(directory).end()
    if bounds is None:
        return None
    return bounds.added - max(bounds.trimmed, end.ordinal if end else 0)


def _told(chain: Chain, archived: int, trimmed: Trimmed | None) -> dict[str, Any]:
    hold = trimmed.kept if trimmed else None
    return {
        "archived": archived,
        "segments": len(chain.links),
        "entries": chain.entries,
        "last": chain.last,
        "sha256": chain.sha256.hex() if chain.links else "",
        "trimmed": trimmed.entries if trimmed else 0,
        "kept_from": hold.position if hold else "",
        "kept_because": hold.reason if hold else "",
    }


def _lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    if not told["segments"]:
        return [("archived", "nothing: there is no log")]
    segments = counted(told["segments"], "segment", "segments")
    lines = [
        ("archived", f"{told['archived']:,} entries, up to {told['last']}"),
        (
            "archive",
            f"{told['entries']:,} entries in {segments}",
        ),
        ("SHA-256", told["sha256"]),
        ("trimmed", f"{told['trimmed']:,} entries"),
    ]
    if told["kept_from"]:
        lines.append(("kept", f"from {told['kept_from']} on: {told['kept_because']}"))
    return lines
