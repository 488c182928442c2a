"""A whole archive, verified: every byte of every segment, the chain, and the manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from by_cp.replay.archive.archiving import Progress
from by_cp.replay.archive.chain import Link, manifest_line, order_faults
from by_cp.replay.archive.directory import MANIFEST, read_whole, segment_name, segment_numbers
from by_cp.replay.archive.errors import Fault
from by_cp.replay.archive.examine import examine
from by_cp.statemachine.position import Position


class Verdict(Struct):
    """What an archive is."""

    segments: int = 0
    entries: int = 0
    bytes: int = 0
    first: Position = ""
    last: Position = ""
    sha256: str = ""
    """Of the last segment: with it all segments are sealed, so keep it elsewhere to be sure."""
    gaps: list[str] = []
    """Where entries were lost before they were archived; no fault of the archive's."""
    notes: list[str] = []
    faults: list[Fault] = []


def size_bytes(directory: Path) -> int:
    """Return how many bytes are to be verified."""
    return sum(
        (directory / segment_name(number)).stat().st_size for number in segment_numbers(directory)
    )


def verify(directory: Path, progress: Progress | None = None) -> Verdict:
    """Verify an archive. Archiving into it meanwhile does no harm.

    Args:
        directory: the archive's.
        progress: is told how many bytes were done.

    Raises:
        ArchiveError: there is no such directory, or a file of it cannot be read.

    """
    verdict = Verdict()
    # The manifest first: what it lists must be there; what is added after it was read need not.
    manifest = directory / MANIFEST
    listed = read_whole(manifest) if manifest.exists() else b""
    numbers = segment_numbers(directory)
    links: list[Link | None] = []
    for number in range(1, max(numbers, default=0) + 1):
        if number in numbers:
            links.append(_segment(directory, number, links[-1] if links else None, verdict))
        else:
            links.append(None)
            verdict.faults.append(Fault(segment_name(number), 0, 0, "it is missing"))
        if progress is not None and number in numbers:
            progress((directory / segment_name(number)).stat().st_size)
    _check_manifest(listed, links, verdict)
    return verdict


def _segment(directory: Path, number: int, before: Link | None, verdict: Verdict) -> Link | None:
    """Examine one segment; None if it has faults, so that the next is not held against it."""
    name = segment_name(number)
    data = read_whole(directory / name)
    header, faults = examine(name, data)
    verdict.segments += 1
    verdict.bytes += len(data)
    verdict.faults += faults
    if header is None:
        return None
    verdict.entries += header.entries
    verdict.first = verdict.first or header.first
    verdict.last = header.last
    link = Link(header, hashlib.sha256(data).digest())
    verdict.sha256 = link.sha256.hex()
    if header.number != number:
        verdict.faults.append(Fault(name, 0, 0, f"it is segment {header.number}, and was renamed"))
        return None
    if before is not None:
        _check_link(before, link, verdict)
    return link if not faults else None


def _check_link(before: Link, link: Link, verdict: Verdict) -> None:
    header = link.header
    if header.previous != before.sha256:
        verdict.faults.append(
            Fault(
                *(before.name, 0, before.header.size_bytes),
                f"it was replaced: its SHA-256 is not the one that {link.name} has for it",
            )
        )
    verdict.faults += order_faults(before.header, header)
    lost = header.ordinal - before.header.ordinal - before.header.entries
    if lost > 0:
        verdict.gaps.append(
            f"{lost:,} entries between {before.header.last} and {header.first} were trimmed from "
            "the server before they were archived"
        )


def _check_manifest(listed: bytes, links: list[Link | None], verdict: Verdict) -> None:
    """Compare the manifest with what the segments say; it may end before the last of them."""
    at = 0
    lines = listed.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if number > len(links):
            verdict.faults.append(
                Fault(segment_name(number), 0, 0, "it is missing, and the manifest lists it")
            )
            continue
        link = links[number - 1]
        if link is not None and line != (expected := manifest_line(link)):
            same = next(
                (i for i, (a, b) in enumerate(zip(line, expected, strict=False)) if a != b),
                min(len(line), len(expected)),
            )
            verdict.faults.append(_manifest_fault(at + same, line, link))
            return
        at += len(line)
    if len(lines) < len(links):
        verdict.notes.append(
            f"the manifest lists {len(lines)} of {len(links)} segments; the next "
            "`by-cp log archive` completes it"
        )


def _manifest_fault(offset: int, line: bytes, link: Link) -> Fault:
    try:
        claimed = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        claimed = {}
    expected = msgspec.json.decode(manifest_line(link), type=dict[str, object])
    differing = [key for key, value in expected.items() if claimed.get(key) != value]
    what = f"it says other than {link.name} itself"
    if differing == ["sha256"]:
        what += ": one of them was changed"
    return Fault(MANIFEST, offset, 1, what)
