"""`by-cp log verify`: is an archive as it was written?"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson
from by_cp.log.rawlog import without_gc
from by_cp.replay.archive.chain import read_chain, write_manifest
from by_cp.replay.archive.directory import locked
from by_cp.replay.archive.verifying import Verdict, size_bytes
from by_cp.replay.archive.verifying import verify as verify_archive


def verify(
    directory: Path,
    *,
    rebuild_manifest: bool = False,
    as_json: AsJson = False,
) -> int:
    """Verify an archive: that every byte is as it was written.

    It reads every segment, the chain of hashes, and the manifest. Each fault is a line with file
    and offset on stderr. Keep the SHA-256 that it prints elsewhere: as long as it is the same, so
    is the whole archive.

    Example: `by-cp log verify /var/lib/by-cp/archive`

    Exit codes: 0 it is as it was written; 1 it is not, or another error; 2 wrong usage; 130
    interrupted.

    Args:
        directory: Where the archive is.
        rebuild_manifest: Make the manifest anew from the segments first.
        as_json: Print one JSON document, faults included.

    """
    if rebuild_manifest:
        with locked(directory, make=False):
            write_manifest(directory, read_chain(directory).links)
    total = size_bytes(directory)
    with (
        told_if_interrupted(lambda: "not all of the archive was verified"),
        progress("verifying", total, "bytes", shown=not as_json) as advance,
        without_gc(),
    ):
        verdict = verify_archive(directory, advance)
    if as_json:
        show_json({"ok": not verdict.faults} | msgspec.to_builtins(verdict))
    else:
        show(_lines(verdict))
        for fault in verdict.faults:
            print(f"by-cp: {fault}", file=sys.stderr)  # noqa: T201 - it is a command
    return 1 if verdict.faults else 0


def _lines(verdict: Verdict) -> list[tuple[str, str]]:
    said = "damaged" if verdict.faults else "as it was written"
    if not verdict.segments and not verdict.faults:
        said = "empty"
    lines = [("archive", said)]
    if verdict.segments:
        lines += [
            ("segments", f"{verdict.segments:,}, {verdict.bytes:,} bytes"),
            ("entries", f"{verdict.entries:,}, from {verdict.first} to {verdict.last}"),
            ("SHA-256", verdict.sha256),
        ]
    lines += [("gap", gap) for gap in verdict.gaps]
    lines += [("note", note) for note in verdict.notes]
    return lines
