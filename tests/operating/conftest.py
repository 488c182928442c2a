"""A log in memory, on a clock that the test moves."""

from __future__ import annotations

import pytest

from by_cp.log.memory import ManualClock, MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    """The store's clock."""
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryStore:
    """A store with an empty log."""
    return MemoryStore(clock)
