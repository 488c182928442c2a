"""The contract finds the faults of providers, and says what they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

import pytest

from by_cp.manager.provider import Decision, Progress
from by_cp.testing.providers import ProviderContract
from by_cp.wire import WakeupRequest
from tests.manager.providers import Answering


class Contract(ProviderContract):
    """The contract with what these tests need."""

    failing_agent_type = "failing"
    patience_s = 0.1
    blocked_max_s = 0.1
    count: int | None = None
    left: Collection[object] = ()

    async def starts(self) -> int | None:
        """What the test says."""
        return self.count

    async def leftovers(self) -> Collection[object]:
        """What the test says."""
        return self.left


class Sound:
    """A provider without a fault."""

    async def wakeup(self, request: WakeupRequest) -> Decision:
        """Start nothing, and say so of those agent types that there are not."""
        if request.target_agent_type != "agent":
            return {"status": "REJECTED", "reason": "there is no such agent"}
        return {"status": "STARTING"}


@pytest.mark.parametrize("name", [name for name in vars(ProviderContract) if name[:5] == "test_"])
def test_a_sound_provider_keeps_the_contract(name: str) -> None:
    """All of it, with one method only."""
    contract = Contract()
    contract.count = 1
    getattr(contract, name)(Sound())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "answered with NoneType, not with a WakeupDecision"),
        ({"status": "FINE"}, "unknown status 'FINE'"),
        ({"status": "FAILED", "reason": "no"}, "the answer is FAILED: 'no'"),
    ],
)
def test_an_answer_that_is_none(answer: Any, fault: str) -> None:
    """It cannot be read, or it is no for an agent type that there should be."""
    with pytest.raises(AssertionError, match=fault):
        Contract().test_a_wake_is_answered(Answering(answer))


def test_a_wake_that_never_returns() -> None:
    """Everything that is awaited is awaited for a while only."""

    class Endless(Sound):
        async def wakeup(self, request: WakeupRequest) -> Decision:
            await asyncio.Event().wait()
            return await super().wakeup(request)

    with pytest.raises(AssertionError, match=r"wakeup did not return within 0\.1 s"):
        Contract().test_a_wake_is_answered(Endless())


def test_success_where_there_is_none() -> None:
    """STARTING for an agent type that nobody knows would be waited for until the deadline."""
    with pytest.raises(AssertionError, match="the wake of 'no-such-agent' did not return"):
        Contract().test_an_agent_type_that_it_cannot_wake_is_refused(
            Answering({"status": "STARTING"})
        )


def test_a_refusal_without_a_reason() -> None:
    """Who is to mend it reads the reason."""
    with pytest.raises(AssertionError, match="FAILED has no reason"):
        Contract().test_a_wake_that_comes_to_nothing_says_so(Answering({"status": "FAILED"}))


def test_an_exception_is_a_refusal() -> None:
    """A manager takes it for FAILED; its text is the reason."""
    away = Answering(ConnectionError("the cluster is away"))
    Contract().test_a_wake_that_comes_to_nothing_says_so(away)


def test_a_blocked_event_loop() -> None:
    """The most frequent fault: a synchronous library."""

    class Blocking(Sound):
        async def wakeup(self, request: WakeupRequest) -> Decision:
            time.sleep(0.25)  # noqa: ASYNC251 - that is the fault
            return await super().wakeup(request)

    with pytest.raises(AssertionError, match=r"a wake blocked the event loop for 0\.. s"):
        Contract().test_a_slow_wake_delays_no_other(Blocking())


def test_a_call_that_counts_twice() -> None:
    """Its epoch is there to prevent that."""
    contract = Contract()
    contract.count = 2
    with pytest.raises(AssertionError, match="one call, repeated, started 2 workers"):
        contract.test_a_repeated_call_starts_nothing_twice(Sound())


def test_a_call_that_does_nothing() -> None:
    """STARTING, and nothing is."""
    contract = Contract()
    contract.count = 0
    with pytest.raises(AssertionError, match="a wake that was answered started no worker"):
        contract.test_a_repeated_call_starts_nothing_twice(Sound())


def test_a_request_that_is_changed() -> None:
    """It is the manager's still."""

    class Changing(Sound):
        async def wakeup(self, request: WakeupRequest) -> Decision:
            request.metadata["seen"] = True
            return await super().wakeup(request)

    with pytest.raises(AssertionError, match="has changed the request"):
        Contract().test_any_request_will_do(Changing())


def test_a_cancellation_that_is_swallowed() -> None:
    """A deadline would not end it."""

    class Stubborn(Sound):
        async def wakeup(self, request: WakeupRequest) -> Decision:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                return {"status": "FAILED", "reason": "cancelled"}
            return await super().wakeup(request)

    with pytest.raises(AssertionError, match="it swallowed a cancellation"):
        Contract().test_a_wake_can_be_cancelled_at_any_moment(Stubborn())


@pytest.mark.parametrize(
    ("status", "late", "fault"),
    [
        ("READY", False, "progress is STARTING or QUEUED, not READY"),
        ("QUEUED", True, "there was progress after the answer"),
    ],
)
def test_progress_that_is_none(status: str, late: bool, fault: str) -> None:
    """Or that comes too late."""

    class Progressing(Sound):
        async def wakeup_with_progress(
            self, request: WakeupRequest, progress: Progress
        ) -> Decision:
            async def tell() -> None:
                await asyncio.sleep(0.01)
                await progress({"status": status})

            telling = asyncio.create_task(tell())
            if not late:
                await telling
            return await self.wakeup(request)

    with pytest.raises(AssertionError, match=fault):
        Contract().test_progress_is_starting_or_queued(Progressing())


def test_work_between_wakes_that_fails() -> None:
    """It is told as it is."""

    class Broken(Sound):
        async def run(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Contract().test_what_it_does_between_wakes_can_be_cancelled(Broken())


def test_something_that_is_left() -> None:
    """After the provider was closed, or when the test has ended if it cannot be."""
    contract = Contract()
    contract.left = ["process 17"]
    with pytest.raises(
        AssertionError, match=r"after it was closed there is still: \['process 17'\]"
    ):
        contract.test_a_wake_is_answered(Sound())


def test_a_contract_without_a_provider_says_so() -> None:
    """A subclass that forgets the fixture is told."""
    fixture: Any = ProviderContract.provider
    with pytest.raises(NotImplementedError, match="Contract needs a fixture `provider`"):
        fixture.__wrapped__(Contract())
