"""One segment's bytes, examined: every fault in them, each at its place.

Reading on behind damage is the point. A single byte that is wrong is found (`damage.py`) and put
right in memory, so that what follows can be read by it. Only where a block's lengths are lost, the
rest of the segment is lost with them.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import NamedTuple

from by_cp.log.rawlog import Page
from by_cp.replay.archive.damage import Flip, flips, flips_of_region, mended
from by_cp.replay.archive.errors import Fault
from by_cp.replay.archive.format import (
    BLOCK_HEADER,
    CRC,
    HEADER,
    BlockHeader,
    Header,
    Unreadable,
    crc_is_right,
    page_of,
)
from by_cp.statemachine.position import BEGINNING, Position, split


class Examined(NamedTuple):
    """What was found."""

    header: Header | None
    """What the segment says about itself; None if that cannot be read."""
    faults: list[Fault]
    """What is wrong, in the order of the file."""


def examine(file: str, data: bytes) -> Examined:
    """Examine a segment, of the bytes of its whole file."""
    examination = _Examination(file, data)
    header = examination.segment_header()
    examination.body(header)
    return Examined(header, examination.faults)


class _Examination:
    def __init__(self, file: str, data: bytes) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._data = data

    def _fault(self, offset: int, length: int, what: str) -> None:
        self.faults.append(Fault(self._file, offset, length, what))

    def _flipped(self, begin: int, flip: Flip, where: str) -> None:
        offset = begin + flip.offset
        now = self._data[offset]
        was = now ^ flip.difference
        self._fault(offset, 1, f"damaged: it is 0x{now:02x} and was 0x{was:02x} ({where})")

    # --- the header -------------------------------------------------------------------------------

    def segment_header(self) -> Header | None:
        region = self._data[: HEADER.size]
        if len(region) < HEADER.size:
            self._fault(len(region), 0, "the file ends here, within the segment's header")
            return None
        if crc_is_right(region):
            try:
                return Header.unpacked(region)
            except Unreadable as error:
                self._fault(0, HEADER.size, str(error))
                return None
        fits = []
        for flip in flips_of_region(region, zlib.crc32(region[: -CRC.size])):
            try:
                fits.append((flip, Header.unpacked(mended(region, flip))))
            except Unreadable:
                continue
        if len(fits) != 1:
            self._fault(0, HEADER.size, "damaged: the segment's header")
            return None
        [(flip, header)] = fits
        self._flipped(0, flip, "the segment's header")
        return header

    # --- the blocks -------------------------------------------------------------------------------

    def body(self, header: Header | None) -> None:
        """Walk the blocks, as far as their lengths can be read."""
        if len(self._data) < HEADER.size:
            return
        end = len(self._data)
        if header is not None:
            end = min(end, header.size_bytes)
        at, blocks, entries = HEADER.size, 0, 0
        first, last = "", BEGINNING
        while at < end:
            block = self._block_header(at, end, blocks + 1)
            if block is None:
                return
            at += BLOCK_HEADER.size
            page = self._page(at, block, blocks + 1)
            if page is not None:
                if not _ascend(last, page):
                    self._fault(
                        *(at, block.stored_bytes),
                        f"the entries of block {blocks + 1} are not in the order of the log",
                    )
                first, last = first or page[0][0], page[-1][0]
            at += block.stored_bytes
            blocks, entries = blocks + 1, entries + block.entries
        if header is not None:
            self._check_end(header, at)
            if not self.faults:
                self._check_sums(header, (blocks, entries, first, last))

    def _block_header(self, at: int, end: int, number: int) -> BlockHeader | None:
        """Return a block's header, mended if need be; None when the file cannot be read on."""
        region = self._data[at : min(at + BLOCK_HEADER.size, end)]
        if len(region) < BLOCK_HEADER.size:
            self._fault(end, 0, f"the file ends here, within the header of block {number}")
            return None
        if crc_is_right(region):
            block = BlockHeader.unpacked(region)
        else:
            found = self._mended_block_header(at, region)
            if found is None:
                self._fault(
                    *(at, BLOCK_HEADER.size),
                    f"damaged: the header of block {number}; what follows is lost with it",
                )
                return None
            flip, block = found
            self._flipped(at, flip, f"the header of block {number}")
        if at + BLOCK_HEADER.size + block.stored_bytes > end:
            self._fault(end, 0, f"the file ends here, within block {number}")
            return None
        return block

    def _mended_block_header(self, at: int, region: bytes) -> tuple[Flip, BlockHeader] | None:
        found = [
            (flip, BlockHeader.unpacked(mended(region, flip)))
            for flip in flips_of_region(region, zlib.crc32(region[: -CRC.size]))
        ]
        if len(found) > 1:  # then the right one is that which fits what follows
            found = [
                (flip, block)
                for flip, block in found
                if zlib.crc32(self._payload(at + BLOCK_HEADER.size, block)) == block.payload_crc
            ]
        return found[0] if len(found) == 1 else None

    def _payload(self, at: int, block: BlockHeader) -> bytes:
        return self._data[at : at + block.stored_bytes]

    def _page(self, at: int, block: BlockHeader, number: int) -> Page | None:
        """Return a block's entries, mended if need be; None if they cannot be read."""
        payload = self._payload(at, block)
        crc = zlib.crc32(payload)
        if crc == block.payload_crc:
            try:
                return page_of(block, payload)
            except Unreadable as error:
                self._fault(at, block.stored_bytes, f"block {number}: {error}")
                return None
        fits = []
        for flip in flips(len(payload), crc, block.payload_crc):
            try:
                fits.append((flip, page_of(block, mended(payload, flip))))
            except Unreadable:
                continue
        if len(fits) != 1:
            self._fault(at, block.stored_bytes, f"damaged: block {number}")
            return None
        [(flip, page)] = fits
        self._flipped(at, flip, f"block {number}, entries {page[0][0]} to {page[-1][0]}")
        return page

    # --- the whole --------------------------------------------------------------------------------

    def _check_end(self, header: Header, at: int) -> None:
        size = len(self._data)
        if size < header.size_bytes:
            missing = header.size_bytes - size
            self._fault(size, 0, f"the file ends here, {missing} bytes too early")
        elif size > header.size_bytes:
            self._fault(header.size_bytes, size - header.size_bytes, "bytes after the end")
        elif at != header.size_bytes:
            self._fault(at, 0, "the blocks end elsewhere than the segment's header says")

    def _check_sums(self, header: Header, found: tuple[int, int, Position, Position]) -> None:
        if found != (header.blocks, header.entries, header.first, header.last):
            self._fault(
                *(0, HEADER.size),
                "the segment's header says other than its blocks: "
                f"{found[1]} entries from {found[2]} to {found[3]}",
            )


def _ascend(last: Position, page: Page) -> bool:
    positions = [split(last), *(split(position) for position, _ in page)]
    return all(before < after for before, after in pairwise(positions))
