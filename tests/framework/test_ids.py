"""Ids: sortable, unique, and telling when they were made."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp import ids
from by_cp.names import check_name

times = st.integers(min_value=0, max_value=ids.TIME_MS_MAX)


@given(times, times)
def test_execution_ids_sort_by_their_time(first_ms: int, second_ms: int) -> None:
    """As plain text, the older id stands before the younger."""
    first, second = ids.new_execution_id(first_ms), ids.new_execution_id(second_ms)

    assert first_ms == second_ms or (first < second) == (first_ms < second_ms)


@given(times)
def test_an_execution_id_tells_its_time(now_ms: int) -> None:
    """The time can be read back, and the id may stand in a key."""
    execution_id = ids.new_execution_id(now_ms)

    assert ids.time_of(execution_id) == now_ms
    assert check_name("execution_id", execution_id) == execution_id


def test_execution_ids_are_unique() -> None:
    """Twenty thousand of one millisecond differ: 80 bits of each are random."""
    made = {ids.new_execution_id(1_700_000_000_000) for _ in range(20_000)}

    assert len(made) == 20_000


def test_execution_ids_are_of_now() -> None:
    """Without a time, the id tells this machine's."""
    before_ms = time.time_ns() // 1_000_000
    told_ms = ids.time_of(ids.new_execution_id())
    after_ms = time.time_ns() // 1_000_000

    assert told_ms is not None
    assert before_ms <= told_ms <= after_ms


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "exec-",
        "exec-1a2b3c4d",  # by-framework's
        "exec-" + "u" * 26,
        "exec-" + "0" * 25,
        "exec-8" + "0" * 25,  # over 128 bits
        "0" * 26,
        "exec-" + "٣" * 26,
    ],
)
def test_other_ids_tell_no_time(foreign: str) -> None:
    """Whatever we did not make has no time, and is no error."""
    assert ids.time_of(foreign) is None


@given(st.text())
def test_any_text_may_be_asked_for_its_time(text: str) -> None:
    """Nothing that somebody types makes it raise."""
    assert ids.time_of(text) is None


def test_message_and_trace_ids_are_unique() -> None:
    """They have 128 random bits, where by-framework's messages have 32."""
    made = {ids.new_message_id() for _ in range(10_000)}
    made |= {ids.new_trace_id() for _ in range(10_000)}

    assert len(made) == 20_000


@given(st.text())
def test_derived_ids_are_always_the_same(execution_id: str) -> None:
    """Who repeats an execution repeats its message and trace; the two are not alike."""
    message_id = ids.message_id_of(execution_id)

    assert message_id == ids.message_id_of(execution_id)
    assert message_id.removeprefix(ids.MESSAGE_PREFIX) != ids.trace_id_of(execution_id)
