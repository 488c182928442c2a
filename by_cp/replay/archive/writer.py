"""A segment in the making: entries in, a sealed file out, or nothing at all.

The header, which says what all of it is, is written last; the file is sealed only when it was read
back from the disk, byte for byte what was to be written, and can be decoded.
"""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from by_cp.log.rawlog import Page
from by_cp.replay.archive.chain import Chain, Link
from by_cp.replay.archive.errors import ArchiveError
from by_cp.replay.archive.examine import examine
from by_cp.replay.archive.format import HEADER, Header, block

BLOCK_ENTRIES = 1_000
BLOCK_BYTES = 256 * 1024
"""A block is closed when it has so many entries, or so many bytes of them."""


class SegmentWriter:
    """Writes one segment into a file that is open, and empty.

    Args:
        chain: what it follows.
        ordinal: how many entries the log had had before its first one.
        file: where it is written.

    Attributes:
        entries: how many were added.
        bytes: how large their events are together.

    """

    def __init__(self, chain: Chain, ordinal: int, file: BinaryIO) -> None:
        self.entries = 0
        self.bytes = 0
        self._chain = chain
        self._ordinal = ordinal
        self._file = file
        self._first = self._last = ""
        self._blocks = 0
        self._waiting: Page = []
        self._waiting_bytes = 0
        self._body = hashlib.sha256()
        self._body_bytes = 0
        file.write(bytes(HEADER.size))

    def add(self, page: Page) -> None:
        """Add entries, which follow those that were added before."""
        for entry in page:
            self._waiting.append(entry)
            self._waiting_bytes += len(entry[1])
            self.bytes += len(entry[1])
            if len(self._waiting) >= BLOCK_ENTRIES or self._waiting_bytes >= BLOCK_BYTES:
                self._close_block()
        self.entries += len(page)

    def seal(self) -> Link:
        """Write the rest and the header, read all of it back, and return the segment.

        Raises:
            ArchiveError: what was read back is not what was written.

        """
        self._close_block()
        header = Header(
            number=len(self._chain.links) + 1,
            ordinal=self._ordinal,
            entries=self.entries,
            first=self._first,
            last=self._last,
            blocks=self._blocks,
            body_bytes=self._body_bytes,
            previous=self._chain.sha256,
        )
        self._file.seek(0)
        self._file.write(header.packed())
        self._file.flush()
        descriptor = self._file.fileno()
        os.fchmod(descriptor, 0o400)
        os.fsync(descriptor)
        return self._read_back(header)

    def _close_block(self) -> None:
        page = self._waiting
        if not page:
            return
        stored = block(page)
        self._file.write(stored)
        self._body.update(stored)
        self._body_bytes += len(stored)
        self._blocks += 1
        self._first = self._first or page[0][0]
        self._last = page[-1][0]
        self._waiting, self._waiting_bytes = [], 0

    def _read_back(self, header: Header) -> Link:
        descriptor = self._file.fileno()
        if hasattr(os, "posix_fadvise"):  # from the disk, not from the memory that it came from
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._file.seek(0)
        data = self._file.read()
        found = Link(header, hashlib.sha256(data).digest())
        body_is_right = hashlib.sha256(data[HEADER.size :]).digest() == self._body.digest()
        examined = examine(found.name, data)
        if not body_is_right or examined.header != header or examined.faults:
            raise ArchiveError(
                f"{found.name} reads back other than it was written ({examined.faults[:1]}): "
                "the disk or the memory of this machine is at fault; nothing was trimmed"
            )
        return found
