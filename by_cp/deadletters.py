"""The dead letters: listed, shown with their history, and given another life, one or many.

Redriving is idempotent: it is a transition out of DEADLETTER, so whoever comes second is told where
the execution stands by now. Of many, each is a call and an event of its own: whoever is interrupted
has done what is done, and can begin again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from by_cp.errors import (
    IllegalTransition,
    InvalidInput,
    NothingToDeliver,
    RedriveRefused,
    UnknownExecution,
)
from by_cp.log.commands import Buried, Redrive
from by_cp.log.contract import DeadLetter, Entry, Store
from by_cp.names import check_int, check_name
from by_cp.statemachine.events import DeadLettered, Held
from by_cp.statemachine.position import BEGINNING
from by_cp.statemachine.states import State
from by_cp.vocabulary import AvailabilityStatus

PAGE = 500
LIMIT_MAX = 1_000_000
CONCURRENCY = 32
CONCURRENCY_MAX = 1_000
RATE_PER_S_MAX = 1_000_000.0


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters are meant: those for which all that is given is true."""

    agent_type: str | None = None
    user_code: str | None = None
    """"" is those that have no tenant."""
    reason: str = ""
    """A part of the reason, in whatever case."""
    since: datetime | None = None
    """Buried at this moment or later."""
    until: datetime | None = None
    """Buried before this moment."""

    def __post_init__(self) -> None:
        """Refuse what nothing can match, and moments of which nobody knows the time zone."""
        if self.agent_type is not None:
            check_name("agent_type", self.agent_type)
        if self.user_code is not None:
            check_name("user_code", self.user_code, empty_allowed=True)
        for what, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput(f"{what} needs a time zone, such as {datetime.now(UTC)}")

    def matches(self, letter: DeadLetter) -> bool:
        """Tell whether a dead letter is meant."""
        return (
            self.agent_type in (None, letter.agent_type)
            and self.user_code in (None, letter.user_code)
            and self.reason.casefold() in letter.reason.casefold()
            and (self.since is None or letter.time_ms >= _ms(self.since))
            and (self.until is None or letter.time_ms < _ms(self.until))
        )


EVERY = Filter()
"""All dead letters."""


class Shown(NamedTuple):
    """One dead letter, in full."""

    execution_id: str
    state: State
    """DEADLETTER, or where it stands by now."""
    reason: str
    """Why it was buried last."""
    command: str
    """The command, as JSON text; "" if it never held one."""
    history: list[Entry]


class Redriven(NamedTuple):
    """What became of a dead letter that was to be redriven."""

    execution_id: str
    done: bool
    """Whether this call gave it another life."""
    state: str
    """DELIVERED or HELD; if nothing was done where it stands, or "" if it is unknown."""
    why: str = ""
    """Why nothing was done."""


class Progress(NamedTuple):
    """How far a redrive of many is."""

    delivered: int = 0
    held: int = 0
    refused: int = 0
    """Left where they are: a circuit is open, a quota used up, an agent type drained."""
    gone: int = 0
    """No dead letters any more when their turn came, or without a command."""

    @property
    def redriven(self) -> int:
        """How many have another life."""
        return self.delivered + self.held

    @property
    def done(self) -> int:
        """How many were looked at."""
        return sum(self)


class Many(NamedTuple):
    """What became of many."""

    progress: Progress
    refusals: dict[str, int]
    """Reason -> how many were refused for it."""


class DeadLetters:
    """What could not be delivered. `ControlPlane` has one.

    Args:
        store: the log.

    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, which: Filter = EVERY, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters, the oldest first.

        Raises:
            InvalidInput: the limit is not acceptable.

        """
        check_int("limit", limit, low=1, high=LIMIT_MAX)
        found: list[DeadLetter] = []
        async for letter in self.matching(which):
            found.append(letter)
            if len(found) == limit:
                break
        return found

    async def count(self, which: Filter = EVERY) -> int:
        """Return how many there are."""
        count = 0
        async for _ in self.matching(which):
            count += 1
        return count

    async def matching(self, which: Filter = EVERY) -> AsyncIterator[DeadLetter]:
        """Give dead letters, the oldest first; what is buried after the begin is left out."""
        end_ms = await self._store.now_ms()
        if which.until is not None:
            end_ms = min(end_ms, _ms(which.until) - 1)
        after = BEGINNING if which.since is None else f"{max(_ms(which.since) - 1, 0)}-{2**64 - 1}"
        while page := await self._store.dead_letters(after, PAGE):
            for letter in page:
                if letter.time_ms > end_ms:
                    return
                if which.matches(letter):
                    yield letter
            after = page[-1].entry_id

    async def show(self, execution_id: str) -> Shown:
        """Return a dead letter with its command, its reason and its history.

        Raises:
            UnknownExecution: nothing is known of it.
            InvalidInput: it never was a dead letter.

        """
        check_name("execution_id", execution_id)
        history, head = await asyncio.gather(
            self._store.history(execution_id), self._store.execution(execution_id)
        )
        state = head.state if head is not None else State.DELIVERED
        command, reason = "", None
        for _, event in history:
            if isinstance(event, (Held, DeadLettered)):
                command = event.command or command
            if isinstance(event, DeadLettered):
                reason = event.reason
        if reason is None:
            raise InvalidInput(f"execution {execution_id!r} is {state}: it never was a dead letter")
        return Shown(execution_id, state, reason, command, history)

    async def redrive(self, execution_id: str, by: str = "") -> Redriven:
        """Give a dead letter another life: deliver it, or hold it again.

        One that is no dead letter (any more) is left alone; the answer says where it stands.

        Raises:
            UnknownExecution: nothing is known of it.
            NothingToDeliver: it never held a command.
            RedriveRefused: not now; its circuit is open, its quota used up, its agent type drained.

        """
        check_name("execution_id", execution_id)
        check_name("by", by, empty_allowed=True)
        return await self._redrive(execution_id, by, None)

    async def redrive_many(
        self,
        which: Filter = EVERY,
        *,
        by: str = "",
        dry_run: bool = False,
        rate_per_s: float | None = None,
        concurrency: int = CONCURRENCY,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Many:
        """Redrive all that are meant; those that cannot be now are left, and counted.

        Args:
            which: which are meant. What is buried after the begin is not.
            by: who does it, for the history.
            dry_run: only count: `Progress.held` is how many would be redriven.
            rate_per_s: so many in a second at most; by default as fast as it goes.
            concurrency: so many calls at a time.
            on_progress: is called after each.

        Raises:
            InvalidInput: a value is not acceptable.

        """
        check_name("by", by, empty_allowed=True)
        check_int("concurrency", concurrency, low=1, high=CONCURRENCY_MAX)
        if rate_per_s is not None and not 0 < rate_per_s <= RATE_PER_S_MAX:
            raise InvalidInput(
                f"rate_per_s {rate_per_s} is not between 0 and {RATE_PER_S_MAX:,.0f}"
            )
        if dry_run:
            return Many(Progress(held=await self.count(which)), {})
        bulk = _Bulk(on_progress)
        letters = self.matching(which)
        pace = _Pace(rate_per_s)

        async def work() -> None:
            # One generator for all: it is asked by one at a time, which the lock sees to.
            while True:
                async with bulk.turn:
                    letter = await anext(letters, None)
                    if letter is None:
                        return
                    await pace.wait()
                call = asyncio.ensure_future(self._redrive_listed(letter, by))
                try:
                    await asyncio.shield(call)
                finally:  # whoever is interrupted is told of what was on its way, too
                    bulk.count(await call)

        await _all_of([asyncio.ensure_future(work()) for _ in range(concurrency)])
        return Many(bulk.progress, bulk.refusals)

    async def _redrive_listed(self, letter: DeadLetter, by: str) -> Redriven:
        # Only by-cp buries commands: what has none may be by-framework's, who knows no tenant.
        buried = Buried(letter.agent_type, letter.user_code, letter.region)
        try:
            return await self._redrive(
                letter.execution_id, by, buried if letter.size_bytes else None
            )
        except RedriveRefused as error:
            return Redriven(
                letter.execution_id, done=False, state=State.DEADLETTER, why=error.reason
            )
        except (NothingToDeliver, UnknownExecution) as error:
            return Redriven(letter.execution_id, done=False, state="", why=str(error))

    async def _redrive(self, execution_id: str, by: str, buried: Buried | None) -> Redriven:
        command = Redrive(execution_id=execution_id, by=by, buried=buried)
        try:
            receipt = await self._store.execute(command)
        except IllegalTransition as error:
            why = f"it is no dead letter (any more): it is {error.state}"
            return Redriven(execution_id, done=False, state=error.state, why=why)
        delivered = receipt.status == AvailabilityStatus.DELIVER_NOW
        return Redriven(execution_id, done=True, state=State.DELIVERED if delivered else "HELD")


class _Bulk:
    """What has become of many so far."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self.turn = asyncio.Lock()
        self.progress = Progress()
        self.refusals: dict[str, int] = {}
        self._on_progress = on_progress

    def count(self, one: Redriven) -> None:
        """Count one more."""
        before = self.progress
        if one.done and one.state == State.DELIVERED:
            self.progress = before._replace(delivered=before.delivered + 1)
        elif one.done:
            self.progress = before._replace(held=before.held + 1)
        elif one.state == State.DEADLETTER:
            self.progress = before._replace(refused=before.refused + 1)
            self.refusals[one.why] = self.refusals.get(one.why, 0) + 1
        else:
            self.progress = before._replace(gone=before.gone + 1)
        if self._on_progress is not None:
            self._on_progress(self.progress)


class _Pace:
    """Lets so many through in a second: the next not before its time."""

    def __init__(self, rate_per_s: float | None) -> None:
        self._interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._next_s = 0.0

    async def wait(self) -> None:
        """Wait for the next one's time."""
        if not self._interval_s:
            return
        now_s = asyncio.get_running_loop().time()
        if self._next_s > now_s:
            await asyncio.sleep(self._next_s - now_s)
        self._next_s = max(self._next_s, now_s) + self._interval_s


async def _all_of(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for all; if one breaks or this is interrupted, end the others in order first.

    Each is cancelled once: a second time would cut off what it still awaits to count it.
    """
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
