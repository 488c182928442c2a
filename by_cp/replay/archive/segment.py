"""One sealed segment, read: its header alone, or its entries block by block.

What is read is checked, and nothing is handed out of a region whose CRC is wrong. If one is, the
whole file is examined, so that the error names the byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from by_cp.log.rawlog import Page
from by_cp.replay.archive.directory import read_whole
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveError, Fault
from by_cp.replay.archive.examine import examine
from by_cp.replay.archive.format import (
    BLOCK_HEADER,
    HEADER,
    BlockHeader,
    Header,
    Unreadable,
    crc_is_right,
    page_of,
)
from by_cp.statemachine.position import Position, split


def read_header(path: Path) -> Header:
    """Return a segment's header.

    Raises:
        ArchiveDamaged: it is not as it was written.
        ArchiveError: the file cannot be read.

    """
    try:
        with path.open("rb") as file:
            return _header(path, file)
    except OSError as error:
        raise ArchiveError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def segment_pages(path: Path, after: Position, until: Position | None) -> Iterator[Page]:
    """Give a segment's entries after a position, up to and with `until`, a page for each block.

    Blocks before and behind are not even decompressed.

    Raises:
        ArchiveDamaged: a region that was to be read is not as it was written.
        ArchiveError: the file cannot be read.

    """
    try:
        with path.open("rb") as file:
            for block, at in _blocks(path, file, after, until):
                file.seek(at)
                page = _entries(path, block, file.read(block.stored_bytes))
                if cut := _cut(page, after, until):
                    yield cut
    except OSError as error:
        raise ArchiveError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _header(path: Path, file: BinaryIO) -> Header:
    region = file.read(HEADER.size)
    if len(region) < HEADER.size or not crc_is_right(region):
        _raise_damage(path)
    try:
        return Header.unpacked(region)
    except Unreadable:
        _raise_damage(path)


def _blocks(
    path: Path, file: BinaryIO, after: Position, until: Position | None
) -> Iterator[tuple[BlockHeader, int]]:
    """Give those blocks that may hold entries of a range, and where their payloads begin."""
    number = _header(path, file).blocks
    begin, end = split(after), None if until is None else split(until)
    at = HEADER.size
    waiting: tuple[BlockHeader, int] | None = None  # the last entry of a block is before the next
    for _ in range(number):
        file.seek(at)
        region = file.read(BLOCK_HEADER.size)
        if len(region) < BLOCK_HEADER.size or not crc_is_right(region):
            _raise_damage(path)
        block = BlockHeader.unpacked(region)
        first = split(block.first)
        if waiting is not None and first > begin:
            yield waiting
        if end is not None and first > end:
            return
        at += BLOCK_HEADER.size
        waiting = block, at
        at += block.stored_bytes
    if waiting is not None:
        yield waiting


def _entries(path: Path, block: BlockHeader, payload: bytes) -> Page:
    if zlib.crc32(payload) != block.payload_crc:
        _raise_damage(path)
    try:
        return page_of(block, payload)
    except Unreadable:
        _raise_damage(path)


def _cut(page: Page, after: Position, until: Position | None) -> Page:
    begin = split(after)
    if split(page[0][0]) <= begin:
        page = [entry for entry in page if split(entry[0]) > begin]
    if until is not None and page and split(page[-1][0]) > (end := split(until)):
        page = [entry for entry in page if split(entry[0]) <= end]
    return page


def _raise_damage(path: Path) -> NoReturn:
    faults = examine(path.name, read_whole(path)).faults
    raise ArchiveDamaged(faults or [Fault(path.name, 0, 0, "it changed while it was read")])
