"""The contract of a provider, as tests. Whoever writes a provider runs it through them.

Subclass `ProviderContract`, and give it a provider and what it can be asked::

    class TestMyProvider(ProviderContract):
        agent_type = "summarizer"

        @pytest.fixture
        def provider(self) -> WakeupProvider:
            return MyProvider(...)

It needs pytest and no plugin: each test runs an event loop of its own. A provider that is an
asynchronous context is entered in it, and left at the end.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias, TypeVar

import pytest

from by_cp.manager.decisions import PROGRESS, understood
from by_cp.manager.provider import (
    Decision,
    ProgressiveProvider,
    ProviderUnavailable,
    Supervisor,
    WakeupProvider,
    WatchfulProvider,
    ask,
)
from by_cp.testing.invariants import require
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

A = TypeVar("A")

Act: TypeAlias = Callable[[WakeupProvider], Awaitable[None]]

GOOD = frozenset({WakeupDecisionStatus.READY, *PROGRESS})
BAD = frozenset({WakeupDecisionStatus.REJECTED, WakeupDecisionStatus.FAILED})

MOMENTS_S = (0.0, 0.01, 0.1)
"""A wake is cancelled so long after its start."""

POLL_S = 0.02


class ProviderContract:
    """What a manager relies on, as tests to inherit.

    Attributes:
        agent_type: one that the provider can wake.
        unknown_agent_type: one that it cannot; None if it takes any.
        slow_agent_type: one whose wake is under way for longer than anybody here waits. If it is
            not set, it is `agent_type`.
        failing_agent_type: one whose wake comes to nothing, soon; None if there is none.
        timeout_ms: how much time the wakes have.
        patience_s: how long anything may take that is not slow on purpose, in seconds.
        blocked_max_s: how long the event loop may be kept from turning, in seconds.

    """

    agent_type: str = "agent"
    unknown_agent_type: str | None = "no-such-agent"
    slow_agent_type: str | None = None
    failing_agent_type: str | None = None
    timeout_ms: int = 30_000
    patience_s: float = 10.0
    blocked_max_s: float = 2.0

    # --- To override ------------------------------------------------------------------------------

    @pytest.fixture
    def provider(self) -> WakeupProvider:
        """Return a new provider for each test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `provider`")

    async def starts(self) -> int | None:
        """Return how often a worker of `agent_type` was started; None if nobody knows."""
        return None

    async def leftovers(self) -> Collection[object]:
        """Return what runs on, or is open, after the provider was closed: there must be nothing."""
        return ()

    # --- The contract -----------------------------------------------------------------------------

    def test_a_wake_is_answered(self, provider: WakeupProvider) -> None:
        """With READY, STARTING or QUEUED, in a decision that the log can take."""

        async def act(provider: WakeupProvider) -> None:
            self._require_good(await self._wake(provider, self._request()))

        self._run(provider, act)

    def test_an_agent_type_that_it_cannot_wake_is_refused(self, provider: WakeupProvider) -> None:
        """With REJECTED or FAILED and a reason, or an exception: never as if it had worked."""
        agent_type = _given("unknown_agent_type", self.unknown_agent_type)

        async def act(provider: WakeupProvider) -> None:
            await self._require_refused(provider, agent_type)

        self._run(provider, act)

    def test_a_wake_that_comes_to_nothing_says_so(self, provider: WakeupProvider) -> None:
        """At once or, if it can watch, as soon as it notices: nobody has to wait in vain."""
        agent_type = _given("failing_agent_type", self.failing_agent_type)

        async def act(provider: WakeupProvider) -> None:
            await self._require_refused(provider, agent_type)

        self._run(provider, act)

    def test_wakes_run_side_by_side(self, provider: WakeupProvider) -> None:
        """Several tenants wake one agent type at once, and each gets an answer."""

        async def act(provider: WakeupProvider) -> None:
            requests = [self._request(user_code=f"tenant-{number}") for number in range(8)]
            for answer in await asyncio.gather(*(self._wake(provider, r) for r in requests)):
                self._require_good(answer)

        self._run(provider, act)

    def test_a_slow_wake_delays_no_other(self, provider: WakeupProvider) -> None:
        """Not even by blocking the event loop that all of a manager runs in."""

        async def act(provider: WakeupProvider) -> None:
            slow = asyncio.create_task(_whole_wake(provider, self._slow_request()))
            try:
                began_s = time.monotonic()
                await asyncio.sleep(MOMENTS_S[-1])
                blocked_s = time.monotonic() - began_s - MOMENTS_S[-1]
                require(
                    blocked_s < self.blocked_max_s,
                    f"a wake blocked the event loop for {blocked_s:.1f} s: use an asynchronous "
                    "library, or asyncio.to_thread",
                )
                self._require_good(await self._wake(provider, self._request()))
            finally:
                await self._cancelled(slow)

        self._run(provider, act)

    def test_a_repeated_call_starts_nothing_twice(self, provider: WakeupProvider) -> None:
        """The same request, of the same epoch, may come twice, even at once."""

        async def act(provider: WakeupProvider) -> None:
            if await self.starts() is None:
                pytest.skip("`starts` is not given")
            request = self._request()
            await asyncio.gather(self._wake(provider, request), self._wake(provider, request))
            await self._wake(provider, request)
            await self._until_started()
            count = await self.starts()
            require(count == 1, f"one call, repeated, started {count} workers")

        self._run(provider, act)

    def test_any_request_will_do(self, provider: WakeupProvider) -> None:
        """Names are any printable text, and a command may be a megabyte long."""
        odd = "a:b/{c}*[d] 'e' \"f\" $(g) é 漢 \N{OCTOPUS}"

        async def act(provider: WakeupProvider) -> None:
            request = self._request(
                **dict.fromkeys(("user_code", "region"), odd),
                priority=-7,
                metadata={odd: [None, 1, {}]},
                command_payload={"body": {"content": odd * 20_000}},
            )
            before = copy.deepcopy(request)
            self._require_good(await self._wake(provider, request))
            require(request == before, "the provider has changed the request")

        self._run(provider, act)

    def test_a_wake_can_be_cancelled_at_any_moment(self, provider: WakeupProvider) -> None:
        """It ends then, as the deadline must; and the provider goes on."""

        async def act(provider: WakeupProvider) -> None:
            for moment_s in MOMENTS_S:
                slow = asyncio.create_task(_whole_wake(provider, self._slow_request()))
                await asyncio.sleep(moment_s)
                await self._cancelled(slow)
            self._require_good(await self._wake(provider, self._request()))

        self._run(provider, act)

    def test_progress_is_starting_or_queued(self, provider: WakeupProvider) -> None:
        """One after another, and none when the wake is answered; if it can tell any."""

        async def act(provider: WakeupProvider) -> None:
            if not isinstance(provider, ProgressiveProvider):
                return
            news = _News(self._request())
            answer = await self._soon(
                provider.wakeup_with_progress(news.request, news.take), "wakeup_with_progress"
            )
            news.is_over = True
            self._require_good(understood(answer, news.request))
            await asyncio.sleep(MOMENTS_S[-1])
            require(not news.fault, news.fault)

        self._run(provider, act)

    def test_what_it_does_between_wakes_can_be_cancelled(self, provider: WakeupProvider) -> None:
        """And wakes go on meanwhile; if it does anything."""

        async def act(provider: WakeupProvider) -> None:
            if not isinstance(provider, Supervisor):
                return
            running = asyncio.create_task(provider.run())
            self._require_good(await self._wake(provider, self._request()))
            await asyncio.sleep(MOMENTS_S[-1])
            if running.done():
                running.result()
            else:
                await self._cancelled(running)

        self._run(provider, act)

    # --- How --------------------------------------------------------------------------------------

    def _request(self, agent_type: str = "", **fields: Any) -> WakeupRequest:
        """Return a request that no other has the epoch of."""
        number = next(_NUMBERS)
        return WakeupRequest(
            execution_id=f"exec-{number}",
            target_agent_type=agent_type or self.agent_type,
            session_id="session",
            trace_id="trace",
            message_id="message",
            source="contract",
            policy="WAKE_AND_QUEUE",
            timeout_ms=self.timeout_ms,
            epoch=f"{_BEGAN_MS}-{number}",
            **fields,
        )

    def _slow_request(self) -> WakeupRequest:
        return self._request(self.slow_agent_type or self.agent_type)

    def _run(self, provider: WakeupProvider, act: Act) -> None:
        async def whole() -> None:
            async with _entered(provider) as entered:
                await act(entered if hasattr(entered, "wakeup") else provider)
            await self._require_nothing_left()

        asyncio.run(whole())

    async def _until_started(self) -> None:
        """Wait until a start is to be seen, and a moment more for one too many."""
        end_s = time.monotonic() + self.patience_s
        while not await self.starts():
            require(time.monotonic() < end_s, "a wake that was answered started no worker")
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(MOMENTS_S[-1])

    async def _require_nothing_left(self) -> None:
        end_s = time.monotonic() + self.patience_s
        while left := await self.leftovers():
            require(time.monotonic() < end_s, f"after it was closed there is still: {list(left)}")
            await asyncio.sleep(POLL_S)

    async def _soon(self, awaitable: Awaitable[A], what: str) -> A:
        limit = asyncio.timeout(self.patience_s)
        try:
            async with limit:
                return await awaitable
        except TimeoutError:
            require(not limit.expired(), f"{what} did not return within {self.patience_s:g} s")
            raise

    async def _wake(self, provider: WakeupProvider, request: WakeupRequest) -> WakeupDecision:
        return understood(await self._soon(provider.wakeup(request), "wakeup"), request)

    async def _cancelled(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task, and see that this ends it."""
        if task.done():
            require(condition=False, broken=f"it ended too early: {task!r}")
        task.cancel()
        await asyncio.wait((task,), timeout=self.patience_s)
        require(task.done(), f"a cancellation did not end it within {self.patience_s:g} s")
        require(task.cancelled(), f"it swallowed a cancellation: {task!r}")

    def _require_good(self, answer: WakeupDecision) -> None:
        require(answer.status in GOOD, f"the answer is {answer.status}: {answer.reason!r}")

    async def _require_refused(self, provider: WakeupProvider, agent_type: str) -> None:
        request = self._request(agent_type)
        wake = self._soon(_whole_wake(provider, request), f"the wake of {agent_type!r}")
        try:
            answer = understood(await wake, request)
        except AssertionError:
            raise
        except ProviderUnavailable as error:
            reason, status = str(error), str(WakeupDecisionStatus.FAILED)
        except Exception as error:  # noqa: BLE001 - which a manager takes for FAILED
            reason, status = repr(error), str(WakeupDecisionStatus.FAILED)
        else:
            reason, status = answer.reason, answer.status
        require(status in BAD, f"{agent_type!r} was answered with {status}: {reason!r}")
        require(reason, f"{status} has no reason: who is to mend it?")


class _News:
    """Takes progress, and notes what is wrong with it: whoever gives it may swallow an error."""

    def __init__(self, request: WakeupRequest) -> None:
        self.request = request
        self.is_over = False
        self.fault = ""
        self._is_busy = False

    async def take(self, news: Decision) -> None:
        """Take one."""
        answer = understood(news, self.request)
        if self.is_over:
            self.fault = "there was progress after the answer"
        elif self._is_busy:
            self.fault = "there was progress before the last one had been taken"
        elif answer.status not in PROGRESS:
            self.fault = f"progress is STARTING or QUEUED, not {answer.status}: {answer.reason!r}"
        self._is_busy = True
        await asyncio.sleep(0)
        self._is_busy = False


async def _whole_wake(provider: WakeupProvider, request: WakeupRequest) -> Decision:
    """Do as a manager does: ask, and then wait for a worker, which does not come."""
    answer = await ask(provider, request, _shown_to_nobody)
    if understood(answer, request).status in BAD:
        return answer
    if isinstance(provider, WatchfulProvider):
        verdict = await provider.watch(request)
        if understood(verdict, request).status not in GOOD:
            return verdict
    never: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    return await never


def _entered(provider: Any) -> AbstractAsyncContextManager[Any]:
    """Return a provider as a context, whether it is one or not."""
    is_context = isinstance(provider, AbstractAsyncContextManager)
    return provider if is_context else nullcontext(provider)


async def _shown_to_nobody(_: Decision) -> None:
    """Take progress."""


def _given(name: str, agent_type: str | None) -> str:
    if agent_type is None:
        pytest.skip(f"`{name}` is None")
    return agent_type


_NUMBERS = itertools.count(1)
_BEGAN_MS = time.time_ns() // 1_000_000
