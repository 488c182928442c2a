"""Circuits act by themselves: they open after failures, let few probes through, and close."""

from __future__ import annotations

from typing import Any

import pytest

from by_cp.log.answers import Tally
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import CircuitForced, CircuitOpened, CircuitPolicySet, Requested
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.contract.acting import (
    attempt,
    configure,
    names_of,
    online,
    release,
    request,
    rouse,
    settle,
    state_of,
)

WAIT, QUEUE = RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE
OPEN_MS, PROBE_MS = 30_000, 60_000
OPEN = ErrorCode.AGENT_CIRCUIT_OPEN

_asked = iter(range(10**6))


async def policy(store: Store, **fields: Any) -> None:
    """Set when the circuit of `echo` opens."""
    of = {"failures_max": 2, "window_ms": 60_000, "open_ms": OPEN_MS, "probes_max": 1}
    values: dict[str, Any] = of | {"probe_ms": PROBE_MS} | fields
    await configure(store, CircuitPolicySet("", "echo", **values))


async def ask(store: Store, asked_policy: str = QUEUE, region: str = "") -> str:
    """Ask, and return the execution's id."""
    execution_id = f"exec-{next(_asked)}"
    await request(store, execution_id, asked_policy, region=region)
    return execution_id


async def code(store: Store, asked_policy: str = QUEUE, region: str = "") -> tuple[str, int]:
    """Ask, and return how it was rejected, and when to try again."""
    receipt = await request(store, f"exec-{next(_asked)}", asked_policy, region=region)
    return receipt.code, receipt.retry_after_ms


async def fail(store: Store, region: str = "") -> None:
    """Let a wake fail."""
    execution_id = await ask(store, region=region)
    await attempt(store, execution_id)
    await settle(store, execution_id, "FAILED", reason="no image")


async def state(store: Store) -> str:
    """Return how the circuit stands."""
    return (await store.views()).circuits["echo"].state


async def test_it_opens_after_so_many_failures(store: Store, clock: ManualClock) -> None:
    """The event says until when, how many failed and how the last one did; callers say when."""
    await policy(store)
    await fail(store)
    assert (await code(store, RoutePolicy.FAIL_FAST))[0] == ErrorCode.AGENT_TYPE_UNAVAILABLE
    await fail(store)
    opened = (await store.read())[-1].event
    assert isinstance(opened, CircuitOpened)
    assert opened == CircuitOpened(opened.cause, "echo", clock() + OPEN_MS, 2, "no image")
    clock.advance(10_000)
    assert await code(store) == (OPEN, OPEN_MS - 10_000)
    assert await code(store, RoutePolicy.SEND_ANYWAY) == (OPEN, OPEN_MS - 10_000)


async def test_failures_outside_the_window_do_not_count(store: Store, clock: ManualClock) -> None:
    """Nor do those before a success."""
    await policy(store)
    await fail(store)
    clock.advance(60_000)
    await fail(store)
    assert await state(store) == "CLOSED"
    execution_id = await ask(store)
    await settle(store, execution_id, "READY")
    await fail(store)
    assert await state(store) == "CLOSED"


async def test_half_open_lets_one_probe_through(store: Store, clock: ManualClock) -> None:
    """The others hear when its permit expires."""
    await policy(store)
    await fail(store)
    await fail(store)
    clock.advance(OPEN_MS)
    probe = await ask(store)
    assert await state_of(store, probe) == "WAKING"
    assert "CircuitHalfOpened" in await names_of(store)
    clock.advance(1_000)
    assert await code(store, region="eu") == (OPEN, PROBE_MS - 1_000)
    assert await code(store) == (OPEN, PROBE_MS - 1_000)
    first = (await store.history(probe))[0].event
    assert isinstance(first, Requested)
    assert first.evidence.circuit == "HALF_OPEN"


async def test_a_good_probe_closes_it(store: Store, clock: ManualClock) -> None:
    """From then on everything goes through."""
    await policy(store)
    await fail(store)
    await fail(store)
    clock.advance(OPEN_MS)
    probe = await ask(store)
    await settle(store, probe, "READY")
    assert await state(store) == "CLOSED"
    assert (await code(store)) == ("", -1)


async def test_a_failed_probe_opens_it_for_twice_as_long(store: Store, clock: ManualClock) -> None:
    """And again twice as long, up to a bound."""
    await policy(store)
    await fail(store)
    await fail(store)
    for doubled in (1, 2, 4):
        clock.advance(OPEN_MS * doubled - 1)
        assert (await code(store))[0] == OPEN
        clock.advance(1)
        await fail(store)
    assert (await store.views()).circuits["echo"].until_ms == clock() + 8 * OPEN_MS


async def test_a_hung_probes_permit_expires(store: Store, clock: ManualClock) -> None:
    """A wake that never comes out does not keep the circuit half-open for ever."""
    await policy(store)
    await fail(store)
    await fail(store)
    clock.advance(OPEN_MS)
    await ask(store, region="hangs")
    clock.advance(PROBE_MS - 1)
    assert (await code(store, region="eu"))[0] == OPEN
    clock.advance(1)
    assert (await code(store, region="eu")) == ("", -1)


@pytest.mark.parametrize("probes_max", [1, 2, 3])
async def test_never_more_probes_than_that(
    store: Store, clock: ManualClock, probes_max: int
) -> None:
    """However many groups ask."""
    await policy(store, probes_max=probes_max)
    await fail(store)
    await fail(store)
    clock.advance(OPEN_MS)
    codes = [(await code(store, region=f"region-{n}"))[0] for n in range(6)]
    assert codes == [""] * probes_max + [OPEN] * (6 - probes_max)
    assert len((await store.views()).circuits["echo"].permits) == probes_max


async def test_a_worker_that_comes_online_by_itself_closes_it(
    store: Store, clock: ManualClock
) -> None:
    """It is all the proof that is needed; before the open time is over, nothing is released."""
    await policy(store, failures_max=1)
    held = await ask(store, RoutePolicy.QUEUE_ONLY)
    await fail(store)
    await online(store)
    assert await release(store) == Tally(skipped=1)
    clock.advance(OPEN_MS)
    assert await release(store) == Tally(delivered=1)
    assert await state_of(store, held) == "DELIVERED"
    assert await state(store) == "CLOSED"


async def test_what_waits_is_roused_within_the_permits(store: Store, clock: ManualClock) -> None:
    """Held commands that no wake was asked for count as probes when one is."""
    await policy(store, failures_max=1)
    lost = [await ask(store, region=f"region-{n}") for n in range(3)]
    await fail(store)
    clock.advance(OPEN_MS + 5_000)
    assert await rouse(store) == Tally(progressed=1, skipped=len(lost) - 1)


async def test_forced_it_does_not_act(store: Store, clock: ManualClock) -> None:
    """Closed by hand, no failure opens it; open by hand, no time does; AUTO lets it act again."""
    await policy(store, failures_max=1)
    await configure(store, CircuitForced("", "echo", "CLOSED"))
    await fail(store)
    assert await state(store) == "CLOSED"
    await configure(store, CircuitForced("", "echo", "OPEN", "maintenance"))
    clock.advance(10 * OPEN_MS)
    assert await code(store) == (OPEN, -1)
    await configure(store, CircuitForced("", "echo", "AUTO"))
    await fail(store)
    assert await state(store) == "OPEN"


async def test_without_a_policy_of_its_own_the_general_one_holds(store: Store) -> None:
    """And 0 failures mean that it never opens."""
    await configure(store, CircuitPolicySet("", "", 1, 60_000, OPEN_MS, 1, PROBE_MS))
    await fail(store)
    assert await state(store) == "OPEN"
    await configure(store, CircuitForced("", "echo", "AUTO"))
    await policy(store, failures_max=0)
    await fail(store)
    assert await state(store) == "CLOSED"
