"""Positions: the ids of a Redis stream, and what can be told from them."""

from __future__ import annotations

import pytest
from hypothesis import given

from by_cp.statemachine.position import BEGINNING, sort_key, split, time_ms
from by_cp.testing import strategies

POSITIONS = strategies.positions()


@given(POSITIONS, POSITIONS)
def test_sort_keys_sort_as_positions_do(one: str, other: str) -> None:
    """As texts, `9-0` stands after `10-0`; the sort keys put it right."""
    assert (sort_key(one) < sort_key(other)) == (split(one) < split(other))


@given(POSITIONS)
def test_a_position_is_its_parts(position: str) -> None:
    """Milliseconds and a sequence number, nothing else."""
    assert "{}-{}".format(*split(position)) == position
    assert time_ms(position) == split(position)[0]


@given(POSITIONS)
def test_everything_comes_after_the_beginning(position: str) -> None:
    """Reading from the beginning misses nothing."""
    assert split(BEGINNING) < split(position)


@pytest.mark.parametrize(
    ("position", "parts"), [("1700000000000-3", (1700000000000, 3)), ("7", (7, 0))]
)
def test_a_time_alone_is_a_position_too(position: str, parts: tuple[int, int]) -> None:
    """Redis lets the sequence number be left out, and so do we."""
    assert split(position) == parts
