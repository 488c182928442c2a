"""Every (state, event) pair: what a store lets happen is what the declared table says."""

from __future__ import annotations

import pytest

from by_cp.log.contract import Store
from by_cp.statemachine.events import EXECUTION_EVENTS
from by_cp.statemachine.states import State
from tests.contract.pairs import PAIRS, SAMPLES, WAYS, Builder, check_pair


@pytest.mark.parametrize(("state", "build", "name"), PAIRS)
async def test_store_agrees_with_the_table(
    store: Store, state: State | None, build: Builder, name: str
) -> None:
    """A legal event leads where the table says; an illegal one is refused and changes nothing."""
    await check_pair(store, state, build, name)


def test_no_pair_is_left_out() -> None:
    """Every state, the one before birth included, and every event of an execution."""
    assert set(WAYS) == {None, *State}
    assert tuple(type(sample) for sample in SAMPLES) == EXECUTION_EVENTS
