"""The bytes of a segment: what docs/archive.md describes, field by field. Pure.

    segment = header, block, block, …
    block   = block header, zlib(msgpack([[position, event], …]))

Every byte is under a CRC-32 of its own region (the header, a block's header, a block's payload), so
that damage is not only noticed but found. The lengths stand in regions of their own, under their
own CRC, so that damage in one block does not hide the next.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple, Self

import msgspec

from by_cp.log.rawlog import Page
from by_cp.statemachine.position import Position, split

MAGIC = b"\x89BYCP\r\n\x1a"
"""No text begins so; and whoever takes the file for one, and mends its line ends, breaks it."""
VERSION = 1
ZLIB = 1
"""The one way in which blocks are compressed."""

HEADER = struct.Struct(">8sHHI8Q32sI")
BLOCK_HEADER = struct.Struct(">IIIQQII")
CRC = struct.Struct(">I")

NO_SEGMENT = bytes(32)
"""What the first segment of a chain has for the hash of the one before it."""

_LEVEL = 1
"""Of zlib: higher ones take twice the time to save a twentieth of the space."""

_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class Unreadable(Exception):
    """What is under a right CRC is not what it should be: written so, or changed with care."""


class Header(NamedTuple):
    """What a segment says about itself."""

    number: int
    """Its place in the chain, from 1."""
    ordinal: int
    """How many entries the log had had before its first one."""
    entries: int
    """How many it holds."""
    first: Position
    last: Position
    blocks: int
    body_bytes: int
    """All that follows the header."""
    previous: bytes
    """SHA-256 of the whole file of the segment before it."""

    @property
    def size_bytes(self) -> int:
        """How long the segment's file is."""
        return HEADER.size + self.body_bytes

    def packed(self) -> bytes:
        """Return the header's bytes."""
        begin = HEADER.pack(
            *(MAGIC, VERSION, ZLIB, self.blocks, self.number, self.ordinal, self.entries),
            *(*split(self.first), *split(self.last), self.body_bytes, self.previous, 0),
        )[: -CRC.size]
        return begin + CRC.pack(zlib.crc32(begin))

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Read a header, whose CRC is right.

        Raises:
            Unreadable: it is none, or one of a later version of the format.

        """
        (magic, version, compression, blocks, number, ordinal, entries, *rest) = HEADER.unpack(data)
        first_ms, first_seq, last_ms, last_seq, body_bytes, previous, _ = rest
        if magic != MAGIC:
            raise Unreadable("it is no segment of an archive")
        if version != VERSION or compression != ZLIB:
            raise Unreadable(
                f"it has version {version} of the format (compression {compression}), "
                f"and this by-cp knows version {VERSION}: upgrade it"
            )
        return cls(
            number=number,
            ordinal=ordinal,
            entries=entries,
            first=f"{first_ms}-{first_seq}",
            last=f"{last_ms}-{last_seq}",
            blocks=blocks,
            body_bytes=body_bytes,
            previous=previous,
        )


class BlockHeader(NamedTuple):
    """What stands before a block's payload."""

    stored_bytes: int
    """Of the payload as it is stored, compressed."""
    raw_bytes: int
    """Of the payload once it is decompressed."""
    entries: int
    first: Position
    payload_crc: int

    def packed(self) -> bytes:
        """Return the block header's bytes."""
        begin = BLOCK_HEADER.pack(
            *(self.stored_bytes, self.raw_bytes, self.entries, *split(self.first)),
            *(self.payload_crc, 0),
        )[: -CRC.size]
        return begin + CRC.pack(zlib.crc32(begin))

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Read a block header, whose CRC is right."""
        stored, raw, entries, first_ms, first_seq, payload_crc, _ = BLOCK_HEADER.unpack(data)
        return cls(stored, raw, entries, f"{first_ms}-{first_seq}", payload_crc)


def crc_is_right(region: bytes) -> bool:
    """Tell whether a region, whose CRC stands at its end, is as it was written."""
    (crc,) = CRC.unpack(region[-CRC.size :])
    return zlib.crc32(region[: -CRC.size]) == int(crc)


def block(page: Page) -> bytes:
    """Return a block of entries, with its header."""
    raw = _PACK.encode(page)
    payload = zlib.compress(raw, _LEVEL)
    header = BlockHeader(len(payload), len(raw), len(page), page[0][0], zlib.crc32(payload))
    return header.packed() + payload


def page_of(header: BlockHeader, payload: bytes) -> Page:
    """Return the entries of a block, of its header and its payload, both with right CRCs.

    Raises:
        Unreadable: the payload is not what its header says.

    """
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(payload, header.raw_bytes + 1)
        page: Page = _UNPACK.decode(raw)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"its payload cannot be read: {error}") from error
    if len(raw) != header.raw_bytes or not unpacker.eof or unpacker.unused_data:
        raise Unreadable(f"its payload is not the {header.raw_bytes} bytes that its header says")
    if len(page) != header.entries or not page or page[0][0] != header.first:
        raise Unreadable("its entries are not those that its header says")
    return page
