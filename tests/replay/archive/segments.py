"""Segments in memory, and entries for them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from by_cp.log.rawlog import Page
from by_cp.replay.archive.format import NO_SEGMENT, Header, block


def segment(pages: list[Page], *, number: int = 1, previous: bytes = NO_SEGMENT) -> bytes:
    """Return a segment's bytes, a block for each page."""
    body = b"".join(map(block, pages))
    header = Header(
        number=number,
        ordinal=7,
        entries=sum(map(len, pages)),
        first=pages[0][0][0],
        last=pages[-1][-1][0],
        blocks=len(pages),
        body_bytes=len(body),
        previous=previous,
    )
    return header.packed() + body


@st.composite
def pages(draw: st.DrawFn) -> list[Page]:
    """Draw pages of entries, in the order of a log, with any bytes for events."""
    places = st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1))
    positions = draw(st.lists(places, min_size=1, max_size=12, unique=True))
    entries = [(f"{ms}-{seq}", draw(st.binary(max_size=60))) for ms, seq in sorted(positions)]
    cuts = draw(st.lists(st.integers(1, len(entries)), max_size=3))
    edges = sorted({0, *cuts, len(entries)})
    return [entries[a:b] for a, b in pairwise(edges)]
