"""What operators do: events with who did it, and clear refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from by_cp.errors import FallbackRefused, InvalidInput, UnknownExecution
from by_cp.log.memory import MemoryStore
from by_cp.operating import Operate
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.contract.acting import names_of, request, state_of

POLICY: dict[str, Any] = {"failures_max": 3, "window_ms": 1000, "open_ms": 1000, "probe_ms": 1000}


@pytest.fixture
def operate(store: MemoryStore) -> Operate:
    """What is tested."""
    return Operate(store)


async def test_each_deed_is_an_event_with_who_did_it(store: MemoryStore, operate: Operate) -> None:
    """Ten of them, in the order in which they were done."""
    await operate.pause("echo", "upgrade", by="ann")
    await operate.drain("echo", by="ann")
    await operate.resume("echo", by="ann")
    await operate.force_circuit("echo", "OPEN", "it burns", by="ann")
    await operate.set_circuit_policy("", **POLICY, by="ann")
    await operate.set_quota("acme", 5, by="ann")
    await operate.set_rate("acme", 10, 1000, 2, by="ann")
    await operate.set_depth(7, agent_type="echo", by="ann")
    await operate.set_depth(8, user_code="acme", by="ann")
    last = await operate.set_fallback("echo", "stand-in", by="ann")
    assert await names_of(store) == [
        *("AgentPaused", "AgentDraining", "AgentResumed", "CircuitForced", "CircuitPolicySet"),
        *("QuotaSet", "RateSet", "DepthSet", "TenantDepthSet", "FallbackSet"),
    ]
    entries = await store.read()
    assert {getattr(entry.event, "by", "") for entry in entries} == {"ann"}
    assert entries[-1].position == last


WRONG: list[tuple[str, Callable[[Operate], Awaitable[Any]]]] = [
    ("must not be empty", lambda o: o.pause("")),
    ("white space", lambda o: o.drain(" echo")),
    ("one line", lambda o: o.pause("echo", "two\nlines")),
    ("over 1,000", lambda o: o.pause("echo", "x" * 1001)),
    ("must be OPEN, CLOSED or AUTO", lambda o: o.force_circuit("echo", "AJAR")),  # type: ignore[arg-type]
    ("between 0 and 100", lambda o: o.set_circuit_policy("", **POLICY | {"failures_max": 101})),
    ("between 1 and", lambda o: o.set_circuit_policy("", **POLICY | {"window_ms": 0})),
    ("between 1 and", lambda o: o.set_circuit_policy("", **POLICY | {"probes_max": 0})),
    ("between -1 and", lambda o: o.set_quota("acme", -2)),
    ("must not be empty", lambda o: o.set_quota("", 5)),
    ("period_ms 0", lambda o: o.set_rate("acme", 1, 0)),
    ("burst 0", lambda o: o.set_rate("acme", 1, 1000, 0)),
    ("between 0 and 1000", lambda o: o.set_rate("acme", 1001, 1)),
    ("either an agent_type or a user_code", lambda o: o.set_depth(5)),
    ("either", lambda o: o.set_depth(5, agent_type="a", user_code="b")),
    ("must be an int", lambda o: o.set_depth(True, agent_type="a")),
    ("must not be empty", lambda o: o.cancel("")),
]


@pytest.mark.parametrize(("expected", "deed"), WRONG)
async def test_what_makes_no_sense_is_refused(
    store: MemoryStore,
    operate: Operate,
    expected: str,
    deed: Callable[[Operate], Awaitable[Any]],
) -> None:
    """With a text that says what would do; nothing is written."""
    with pytest.raises(InvalidInput, match=expected):
        await deed(operate)
    assert await store.read() == []


async def test_a_circle_of_fallbacks_is_refused(operate: Operate) -> None:
    """By the log itself."""
    await operate.set_fallback("a", "b")
    with pytest.raises(FallbackRefused):
        await operate.set_fallback("b", "a")


async def test_cancel_has_exactly_one_outcome(store: MemoryStore, operate: Operate) -> None:
    """The second is told the first one's; of what is unknown it is said."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    outcome = await operate.cancel("exec-1", "not needed", by="ann")
    assert outcome.code == ErrorCode.EXECUTION_CANCELLED
    assert await operate.cancel("exec-1", "another reason") == outcome
    assert await state_of(store, "exec-1") == "REJECTED"
    with pytest.raises(UnknownExecution):
        await operate.cancel("nobody")
