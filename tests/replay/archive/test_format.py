"""The bytes of a segment: what goes in comes out, and what was changed since is found."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.log.rawlog import Page
from by_cp.replay.archive.examine import examine
from by_cp.replay.archive.format import CRC, HEADER, NO_SEGMENT, Header
from by_cp.replay.archive.segment import segment_pages
from by_cp.statemachine.position import BEGINNING
from tests.replay.archive.segments import pages, segment

RECORDED = """
    89425943500d0a1a000100010000000200000000000000010000000000000007000000000000000300000000
    0000000100000000000000000000000000000002000000000000000000000000000000780000000000000000
    000000000000000000000000000000000000000000000000047729ce0000001b000000150000000200000000
    000000010000000000000000422062f44f2eba7378019b3469b1a1aec111e6fcbc5410cbf0087349793e005d
    b80844000000150000000d0000000100000000000000020000000000000000ef604b31a288107078019b3869
    b191aec111d6928ca2d45400262f0537
"""
"""A segment as version 1 of the format writes it: those of `SMALL`."""

SMALL: list[Page] = [[("1-0", b"one"), ("1-1", b"two")], [("2-0", b"three")]]


@given(pages())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[Page]
) -> None:
    """Whatever the events' bytes and positions are, they come back, block for block."""
    path = tmp_path_factory.mktemp("archive") / "segment-00000001.bycp"
    path.write_bytes(segment(written))
    assert list(segment_pages(path, BEGINNING, None)) == written
    header, faults = examine(path.name, path.read_bytes())
    assert faults == []
    assert header is not None
    assert (header.entries, header.blocks) == (sum(map(len, written)), len(written))
    assert (header.first, header.last) == (written[0][0][0], written[-1][-1][0])
    path.unlink()


@given(pages(), st.data())
def test_a_byte_that_is_flipped_is_named(written: list[Page], data: st.DataObject) -> None:
    """One byte is wrong, anywhere: its offset is told, and what it was."""
    right = segment(written)
    offset = data.draw(st.integers(0, len(right) - 1))
    wrong = bytearray(right)
    wrong[offset] ^= data.draw(st.integers(1, 255))
    [fault] = examine("the segment", bytes(wrong)).faults
    assert (fault.file, fault.offset, fault.length) == ("the segment", offset, 1)
    assert f"it is 0x{wrong[offset]:02x} and was 0x{right[offset]:02x}" in fault.what


@given(pages(), st.data())
def test_a_file_that_ends_too_early_is_found(written: list[Page], data: st.DataObject) -> None:
    """Wherever it was cut off, that is where it is said to end."""
    right = segment(written)
    size = data.draw(st.integers(0, len(right) - 1))
    [fault] = examine("the segment", right[:size]).faults
    assert (fault.offset, fault.length) == (size, 0)
    assert "the file ends here" in fault.what


@given(pages(), st.binary(min_size=1, max_size=50))
def test_bytes_after_the_end_are_found(written: list[Page], more: bytes) -> None:
    """A segment has one end."""
    right = segment(written)
    [fault] = examine("the segment", right + more).faults
    assert (fault.offset, fault.length) == (len(right), len(more))


@given(pages(), st.data())
def test_no_damage_goes_unseen(written: list[Page], data: st.DataObject) -> None:
    """Any stretch of bytes may be overwritten with any others: it is noticed."""
    right = segment(written)
    begin = data.draw(st.integers(0, len(right) - 1))
    end = data.draw(st.integers(begin + 1, min(len(right), begin + 40)))
    other = data.draw(st.binary(min_size=end - begin, max_size=end - begin))
    wrong = right[:begin] + other + right[end:]
    assert bool(examine("the segment", wrong).faults) == (wrong != right)


def test_damage_in_two_blocks_is_found_twice() -> None:
    """What is wrong in one place does not hide what is wrong in another."""
    right = segment([[(f"{n}-0", b"x" * 40)] for n in range(1, 4)])
    wrong = bytearray(right)
    wrong[20] ^= 1
    wrong[-3] ^= 1
    assert [fault.offset for fault in examine("the segment", bytes(wrong)).faults] == [
        20,
        len(right) - 3,
    ]


def test_a_later_version_of_the_format_is_not_taken_for_damage() -> None:
    """Whoever reads it needs a newer by-cp, and is told so."""
    header = Header(1, 0, 3, "1-0", "2-0", 2, 0, NO_SEGMENT).packed()
    later = bytearray(header[: HEADER.size - CRC.size])
    later[9] = 2
    data = bytes(later) + CRC.pack(crc32(later))
    [fault] = examine("the segment", data).faults
    assert "version 2 of the format" in fault.what
    assert "upgrade it" in fault.what


def test_what_is_no_segment_is_said_to_be_none() -> None:
    """A file that only has the name of one is damaged from its beginning."""
    [fault] = examine("the segment", b"Dear diary, " * 100).faults[:1]
    assert fault.offset == 0


def test_entries_out_of_order_are_found() -> None:
    """Right checksums do not make a log."""
    [fault] = examine("the segment", segment([[("5-0", b""), ("4-0", b"")]])).faults
    assert "not in the order of the log" in fault.what


def test_a_segment_of_the_first_release_can_be_read(tmp_path: Path) -> None:
    """What any release wrote is read by all that follow."""
    path = tmp_path / "segment-00000001.bycp"
    path.write_bytes(bytes.fromhex(RECORDED))
    assert examine(path.name, path.read_bytes()).faults == []
    assert list(segment_pages(path, BEGINNING, None)) == SMALL
