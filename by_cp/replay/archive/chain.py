"""The chain of an archive: its segments in order, and the manifest that lists them.

Each segment holds the SHA-256 of the whole file before it: what `sha256sum` says of a file is in
the header of the next, and in the manifest. The manifest holds nothing of its own: it is made of
the segments, for people and scripts to read, and so that the last segment's hash is kept, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from by_cp.replay.archive.directory import (
    MANIFEST,
    read_whole,
    segment_name,
    segment_numbers,
    written,
)
from by_cp.replay.archive.errors import ArchiveDamaged, Fault
from by_cp.replay.archive.examine import examine
from by_cp.replay.archive.format import NO_SEGMENT, Header
from by_cp.replay.archive.segment import read_header
from by_cp.statemachine.position import BEGINNING, Position, split


class Link(NamedTuple):
    """A segment in the chain."""

    header: Header
    sha256: bytes
    """Of its whole file."""

    @property
    def name(self) -> str:
        """Name of its file."""
        return segment_name(self.header.number)


class Chain(NamedTuple):
    """An archive's segments, in order; none when there is no archive yet."""

    links: tuple[Link, ...] = ()

    @property
    def last(self) -> Position:
        """Position of the last entry."""
        return self.links[-1].header.last if self.links else BEGINNING

    @property
    def ordinal(self) -> int:
        """How many entries the log had had when the last one was archived."""
        if not self.links:
            return 0
        header = self.links[-1].header
        return header.ordinal + header.entries

    @property
    def entries(self) -> int:
        """How many entries are in the archive."""
        return sum(link.header.entries for link in self.links)

    @property
    def sha256(self) -> bytes:
        """What the next segment has to say of the one before it."""
        return self.links[-1].sha256 if self.links else NO_SEGMENT


def read_headers(directory: Path) -> list[Header]:
    """Return the headers of an archive's segments, in order. The segments' bodies are not read.

    Raises:
        ArchiveDamaged: a header is damaged, a segment is missing, or they are no chain.
        ArchiveError: there is no such directory, or it cannot be read.

    """
    numbers = segment_numbers(directory)
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            raise ArchiveDamaged([Fault(segment_name(expected), 0, 0, "it is missing")])
    headers = [read_header(directory / segment_name(number)) for number in numbers]
    if broken := [fault for pair in pairwise(headers) for fault in order_faults(*pair)]:
        raise ArchiveDamaged(broken)
    return headers


def read_chain(directory: Path) -> Chain:
    """Return the chain, its last segment read and examined, the others by their headers.

    Raises:
        ArchiveDamaged: a header or the last segment is damaged, or a segment is missing.
        ArchiveError: there is no such directory, or it cannot be read.

    """
    headers = read_headers(directory)
    if not headers:
        return Chain()
    name = segment_name(headers[-1].number)
    data = read_whole(directory / name)
    if faults := examine(name, data).faults:
        raise ArchiveDamaged(faults)
    hashes = [header.previous for header in headers[1:]] + [hashlib.sha256(data).digest()]
    return Chain(tuple(map(Link, headers, hashes)))


def order_faults(before: Header, header: Header) -> list[Fault]:
    """Return in what a segment does not follow on the one before it, the hash left aside."""
    name = segment_name(header.number)
    faults = []
    if header.ordinal < before.ordinal + before.entries:
        faults.append(Fault(name, 0, 0, "it counts entries again that are in the one before it"))
    if split(header.first) <= split(before.last):
        faults.append(Fault(name, 0, 0, "it begins before the end of the one before it"))
    return faults


def manifest_line(link: Link) -> bytes:
    """Return what the manifest says of a segment."""
    header = link.header
    fields = {
        "segment": link.name,
        "entries": header.entries,
        "first": header.first,
        "last": header.last,
        "ordinal": header.ordinal,
        "bytes": header.size_bytes,
        "sha256": link.sha256.hex(),
    }
    return msgspec.json.encode(fields) + b"\n"


def write_manifest(directory: Path, links: Iterable[Link]) -> None:
    """Write the manifest anew, unless it is there as it should be."""
    content = b"".join(map(manifest_line, links))
    path = directory / MANIFEST
    if content == (read_whole(path) if path.exists() else b""):
        return
    with written(path) as file:
        file.write(content)
