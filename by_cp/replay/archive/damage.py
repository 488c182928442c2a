"""Which byte is it? A CRC-32 that is wrong says more than that: it tells a single byte's place.

The difference between the CRC as it is and as it should be depends on the error alone, not on the
data: it is what a CRC register that begins at zero makes of the error, byte by byte. Only zeros
follow a single wrong byte, and a step over a zero can be undone. So undo steps from the end of the
data on until what is left in the register is one byte: there it is, and that is how it differs.
"""

from __future__ import annotations

from typing import NamedTuple

from by_cp.replay.archive.format import CRC

_POLYNOMIAL = 0xEDB88320
_MASK = 0xFFFFFFFF
_BYTE = 0x100


class Flip(NamedTuple):
    """One byte that is wrong."""

    offset: int
    """Within the region."""
    difference: int
    """What it must be XORed with to be right again."""


def _table() -> list[int]:
    table = []
    for number in range(_BYTE):
        register = number
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_TABLE = _table()
_BY_TOP_BYTE = {register >> 24: number for number, register in enumerate(_TABLE)}
"""The first byte of each row of the table is another one: by it a step is undone."""


def flips(size: int, crc: int, expected: int) -> list[Flip]:
    """Return the single bytes, in data of so many bytes, that can have changed its CRC so.

    If one byte was changed it is among them; most often it is the only one.
    """
    found = []
    register = crc ^ expected
    for steps in range(1, size + 1):
        number = _BY_TOP_BYTE[register >> 24]
        register = ((register ^ _TABLE[number]) << 8 & _MASK) | number
        if 0 < register < _BYTE:
            found.append(Flip(size - steps, register))
    return found


def flips_of_region(region: bytes, crc: int) -> list[Flip]:
    """Return the same for a region at whose end its CRC stands, which may be what was changed."""
    size = len(region) - CRC.size
    (expected,) = CRC.unpack(region[size:])
    found = flips(size, crc, expected)
    differences = CRC.pack(crc ^ expected)
    if sum(map(bool, differences)) == 1:
        [within] = [place for place, difference in enumerate(differences) if difference]
        found.append(Flip(size + within, differences[within]))
    return found


def mended(data: bytes, flip: Flip) -> bytes:
    """Return data with a byte put right."""
    copy = bytearray(data)
    copy[flip.offset] ^= flip.difference
    return bytes(copy)
