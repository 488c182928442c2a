"""A process that sends commands under all policies, and writes down what it is told.

It repeats a send, under the same execution_id, until it is answered. Now and then it cancels one of
its own, or redrives a dead letter.

    python sender.py URL DIRECTORY SEED PAUSE_S
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import plan
from records import SENDERS, Records

from by_cp.control_plane import ControlPlane
from by_cp.errors import ServerError, TransitionError
from by_cp.log.commands import Redrive
from by_cp.vocabulary import RoutePolicy

CALLERS = 3
RETRY_S = 0.2


class Sender:
    """One process's callers."""

    def __init__(self, plane: ControlPlane, records: Records, seed: str, pause_s: float) -> None:
        self._plane = plane
        self._records = records
        self._seed = seed
        self._pause_s = pause_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until stopped; what is being sent is finished."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopping.set)
        await asyncio.gather(*(self._call_on(number) for number in range(CALLERS)))

    async def _call_on(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - it must repeat
        count = 0
        while not self._stopping.is_set():
            count += 1
            execution_id = f"{self._seed}-{number}-{count}"
            policy = chance.choice(plan.POLICIES)
            await self._send(execution_id, policy, chance)
            if policy == RoutePolicy.QUEUE_ONLY and chance.random() < 0.1:  # noqa: PLR2004 - a share
                await self._until_answered(lambda e=execution_id: self._cancel(e))
            if chance.random() < 0.01:  # noqa: PLR2004 - a share
                await self._until_answered(lambda c=chance: self._redrive(c))
            await asyncio.sleep(chance.uniform(0, 2 * self._pause_s))

    async def _send(self, execution_id: str, policy: str, chance: random.Random) -> None:
        message = {
            "target_agent_type": chance.choice(plan.AGENT_TYPES),
            "session_id": "torture",
            "content": plan.content_of(execution_id),
            "user_code": chance.choice(plan.TENANTS),
            "region": chance.choice(plan.REGIONS),
            "priority": chance.randrange(3),
            "route_policy": policy,
            "availability_timeout_ms": chance.randrange(1_000, 8_000),
            "execution_id": execution_id,
            **_times(policy, chance),
        }
        self._records.add(sent=execution_id, policy=policy)
        response = await self._until_answered(lambda: self._plane.client.send_message(**message))
        self._records.add(answered=execution_id, success=response.success, code=response.error_code)

    async def _cancel(self, execution_id: str) -> None:
        try:
            response = await self._plane.client.cancel(execution_id)
        except TransitionError:
            return  # it was settled in the call that sent it
        self._records.add(cancelled=execution_id, code=response.error_code)

    async def _redrive(self, chance: random.Random) -> None:
        buried = await self._plane.store.dead_letters(count=100)
        if not buried:
            return
        execution_id = chance.choice(buried).execution_id
        try:
            await self._plane.store.execute(Redrive(execution_id=execution_id, by="torture"))
        except TransitionError:
            return  # another was faster, or its circuit is open, or its quota is used
        self._records.add(redriven=execution_id)

    async def _until_answered(self, ask: Any) -> Any:
        while True:
            try:
                return await ask()
            except ServerError:
                self._records.add(repeated=1)
                await asyncio.sleep(RETRY_S)


def _times(policy: str, chance: random.Random) -> dict[str, int]:
    """Return when some of those that nobody waits for may be delivered, and when no more."""
    now_ms = time.time_ns() // 1_000_000
    times = {}
    if policy in {RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY}:
        if chance.random() < 0.15:  # noqa: PLR2004 - a share
            times["not_before_ms"] = now_ms + chance.randrange(1_500)
        if chance.random() < 0.15:  # noqa: PLR2004 - a share
            times["expires_at_ms"] = now_ms + chance.randrange(1_500, 5_000)
    return times


async def main(url: str, directory: Path, seed: str, pause_s: float) -> None:
    """Send until told to stop."""
    async with ControlPlane.connect(url, patience=plan.patience()) as plane:
        await Sender(plane, Records(directory, SENDERS), seed, pause_s).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
