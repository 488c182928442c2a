"""Dead letters: listed by filter, shown in full, redriven once, one or many."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from by_cp.deadletters import DeadLetters, Filter, Progress
from by_cp.errors import InvalidInput, RedriveRefused, UnknownExecution
from by_cp.log.commands import Redrive
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.operating import Operate
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import events_of, online, release, request, settle, state_of

QUEUE = RoutePolicy.WAKE_AND_QUEUE


@pytest.fixture
def dead(store: MemoryStore) -> DeadLetters:
    """What is tested."""
    return DeadLetters(store)


async def bury(
    store: MemoryStore, execution_id: str, reason: str = "no image", **of_call: str
) -> None:
    """Let a wake fail; the circuit stays out of it."""
    await Operate(store).force_circuit(of_call.get("agent_type", "echo"), "CLOSED")
    await request(store, execution_id, QUEUE, **of_call)
    await settle(store, execution_id, "FAILED", reason=reason)


async def ids(dead: DeadLetters, which: Filter) -> list[str]:
    """Return who is meant."""
    return [letter.execution_id for letter in await dead.list(which)]


async def test_dead_letters_are_found_by_what_is_known_of_them(
    store: MemoryStore, dead: DeadLetters, clock: ManualClock
) -> None:
    """Agent type, tenant, a part of the reason, time; all that is given must be true."""
    begin = datetime.fromtimestamp(clock.now_ms / 1000, UTC)
    await bury(store, "a", user_code="acme")
    clock.advance(60_000)
    await bury(store, "b", "Quota of the cloud", agent_type="other")
    later = begin + timedelta(seconds=30)
    assert await ids(dead, Filter()) == ["a", "b"]
    assert await ids(dead, Filter(agent_type="other")) == ["b"]
    assert await ids(dead, Filter(user_code="acme")) == ["a"]
    assert await ids(dead, Filter(user_code="")) == ["b"]
    assert await ids(dead, Filter(reason="quota")) == ["b"]
    assert await ids(dead, Filter(since=later)) == ["b"]
    assert await ids(dead, Filter(until=later)) == ["a"]
    assert await ids(dead, Filter(since=begin, until=begin)) == []
    assert await ids(dead, Filter(agent_type="other", user_code="acme")) == []
    assert await dead.count() == 2
    assert len(await dead.list(limit=1)) == 1


async def test_a_moment_needs_a_time_zone() -> None:
    """Nobody knows which moment it is otherwise."""
    with pytest.raises(InvalidInput, match="time zone"):
        Filter(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


async def test_a_dead_letter_is_shown_with_its_command(
    store: MemoryStore, dead: DeadLetters
) -> None:
    """Payload, reason and history; what never died is no dead letter."""
    await bury(store, "exec-1")
    shown = await dead.show("exec-1")
    assert '"content":"exec-1"' in shown.command
    assert "no image" in shown.reason
    assert shown.history[-1].event.name == "DeadLettered"
    await request(store, "alive", QUEUE)
    with pytest.raises(InvalidInput, match="never was a dead letter"):
        await dead.show("alive")
    with pytest.raises(UnknownExecution):
        await dead.show("nobody")


async def test_redrive_twice_is_redrive_once(store: MemoryStore, dead: DeadLetters) -> None:
    """The second says where it stands; the history has both lives."""
    await bury(store, "exec-1")
    await online(store)
    first = await dead.redrive("exec-1", by="ann")
    assert (first.done, first.state) == (True, "DELIVERED")
    second = await dead.redrive("exec-1", by="bob")
    assert (second.done, second.state) == (False, "DELIVERED")
    assert "no dead letter (any more)" in second.why
    assert (await events_of(store, "exec-1")).count("Redriven") == 1
    assert (await events_of(store, "exec-1"))[-5:] == [
        *("DeadLettered", "Redriven", "Held", "BecameReady", "Delivered")
    ]


async def test_many_are_redriven_with_progress(store: MemoryStore, dead: DeadLetters) -> None:
    """A dry run counts only; then each is redriven, and each is told of."""
    for number in range(120):
        await bury(store, f"exec-{number}", user_code="acme" if number % 2 else "umbrella")
    which = Filter(user_code="acme")
    dry = await dead.redrive_many(which, dry_run=True)
    assert dry.progress == Progress(held=60)
    assert await dead.count() == 120
    told: list[Progress] = []
    done = await dead.redrive_many(which, by="ann", on_progress=told.append)
    assert done.progress == Progress(held=60)
    assert [progress.done for progress in told] == list(range(1, 61))
    assert await dead.count() == await dead.count(Filter(user_code="umbrella")) == 60
    again = await dead.redrive_many(which)
    assert again.progress == Progress()


async def test_what_cannot_be_redriven_now_is_left(store: MemoryStore, dead: DeadLetters) -> None:
    """Its circuit is open, its quota used up: counted by reason, and still there."""
    for number in range(5):
        await bury(store, f"exec-{number}", user_code="acme")
    await bury(store, "closed", agent_type="other")
    await Operate(store).set_quota("acme", 2)
    await Operate(store).force_circuit("other", "OPEN", "it burns")
    with pytest.raises(RedriveRefused, match="it burns"):
        await dead.redrive("closed")
    many = await dead.redrive_many()
    assert many.progress == Progress(held=2, refused=4)
    assert many.refusals == {
        "the circuit is open: it burns": 1,
        "tenant quota exceeded: 2 of 2 in flight": 3,
    }
    assert await dead.count() == 4


async def test_what_dies_again_is_not_redriven_for_ever(
    store: MemoryStore, dead: DeadLetters, clock: ManualClock
) -> None:
    """A redrive of many is about what was dead when it began."""
    for number in range(3):
        await bury(store, f"exec-{number}")

    def dies_again(_progress: Progress) -> None:
        clock.advance(1000)
        running.append(asyncio.ensure_future(settle(store, "exec-0", "FAILED")))

    running: list[asyncio.Future[object]] = []
    many = await dead.redrive_many(on_progress=dies_again, concurrency=1)
    await asyncio.gather(*running, return_exceptions=True)
    assert many.progress.done == 3


async def test_an_interrupted_redrive_has_done_what_is_done(
    store: MemoryStore, dead: DeadLetters
) -> None:
    """Nothing is half redriven, all that was done is told, and the rest can be done later."""
    for number in range(50):
        await bury(store, f"exec-{number}")
    last = Progress()

    def interrupt(progress: Progress) -> None:
        nonlocal last
        last = progress
        if progress.done == 10:
            task.cancel()

    task = asyncio.ensure_future(dead.redrive_many(on_progress=interrupt, concurrency=4))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 10 <= last.redriven < 50
    assert await dead.count() == 50 - last.redriven
    rest = await dead.redrive_many()
    assert rest.progress.redriven == 50 - last.redriven
    await online(store)
    await release(store)
    assert await state_of(store, "exec-49") == "DELIVERED"


@pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e9])
async def test_a_rate_that_makes_no_sense_is_refused(dead: DeadLetters, rate: float) -> None:
    """Before anything is done."""
    with pytest.raises(InvalidInput, match="rate_per_s"):
        await dead.redrive_many(rate_per_s=rate)


class AnsweringLate(MemoryStore):
    """Does what it is asked at once, and says so only when it may."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def execute(self, command: Any) -> Any:
        """Execute a command."""
        answer = await super().execute(command)
        if isinstance(command, Redrive):
            self.asked.set()
            await self.may_answer.wait()
        return answer


async def test_what_is_on_its_way_when_it_is_interrupted_is_counted(clock: ManualClock) -> None:
    """It is done by then: whoever asked is told of it."""
    store = AnsweringLate(clock)
    for execution_id in ("exec-1", "whose turn has not come"):
        await bury(store, execution_id)
    told: list[Progress] = []
    redriving = asyncio.create_task(
        DeadLetters(store).redrive_many(on_progress=told.append, concurrency=2, rate_per_s=0.001)
    )
    await store.asked.wait()
    redriving.cancel()
    for _ in range(10):  # rounds of the event loop: all that can end ends
        await asyncio.sleep(0)
    store.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await redriving
    assert told == [Progress(held=1)]
