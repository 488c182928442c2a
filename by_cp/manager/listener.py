"""The listener: it hears decisions that come from outside, after their provider has answered.

A provider that only hands a wake on (a webhook that says 202, a queue, a pager) answers QUEUED; how
it came out is told later, by whoever knows, with `ControlPlane.decide` or as an entry of the stream
`mgmt:decision`. It names the attempt by its epoch, so that what is late changes nothing, and READY
is believed, here as everywhere, once a worker is online: until then the wake goes on waiting.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.errors import UnknownExecution
from by_cp.log.contract import Store, Told
from by_cp.log.wakeups import wakeup_request
from by_cp.manager.decisions import PROGRESS, WORKER_IDS_MAX, understood
from by_cp.manager.naming import new_actor
from by_cp.manager.settling import Attempting, Settler, Wake
from by_cp.patience import Patience
from by_cp.statemachine.events import Requested
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

BATCH = 100
BLOCK_MS = 1_000

log = logs.named("by_cp.manager")


class DecisionListener:
    """Applies decisions from outside.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        consumer: its name in the log. A controller's, whose signs of life count for both; without
            one it gives them itself, each time that it looks.

    """

    def __init__(self, redis: Any, *, consumer: str | None = None) -> None:
        self._store: Store = store_of(redis)
        self._consumer = consumer or new_actor("listener")
        self.patience = Patience("listener", log)
        self._settler = Settler(self._store, self.patience, self._consumer)

    async def run(self) -> NoReturn:
        """Listen until cancelled. A server that is away is waited for."""
        await self.patience.repeat(self._pass)

    async def _pass(self) -> float:
        await self.run_once(BLOCK_MS)
        return 0

    async def run_once(self, block_ms: int = 0) -> int:
        """Apply the decisions that are there, and return how many those were."""
        told = await self._store.take_decisions(self._consumer, BATCH, block_ms)
        for one in told:
            wrong = await self._apply(one)
            await self._store.finish_decision(one, wrong)
        return len(told)

    async def _apply(self, told: Told) -> str:
        """Apply one decision; return what is wrong with it, if anything."""
        execution_id = told.decision.execution_id
        try:
            first = (await self._store.history(execution_id))[0].event
        except UnknownExecution as error:
            return str(error)
        if not isinstance(first, Requested):
            return f"execution {execution_id!r} does not begin with its request"
        call = first.call
        request = wakeup_request(execution_id, call, told.epoch)
        decision = await self._believed(understood(told.decision, request), request)
        wake = Wake((call.agent_type, call.user_code, call.region), told.epoch)
        attempting = Attempting(wake, told.epoch, request.attempt)
        if decision.status in PROGRESS:
            await self._settler.progress(attempting, decision)
            settled = 0
        else:
            settled = await self._settler.settle(attempting, decision)
        log.info(
            "decision_heard",
            execution_id=execution_id,
            epoch=told.epoch,
            status=decision.status,
            settled=settled,
        )
        return ""

    async def _believed(self, decision: WakeupDecision, request: WakeupRequest) -> WakeupDecision:
        if decision.status != WakeupDecisionStatus.READY:
            return decision
        online = await self._store.online(request.target_agent_type)
        if online:
            return dataclasses.replace(decision, worker_ids=list(online[:WORKER_IDS_MAX]))
        return dataclasses.replace(decision, status=WakeupDecisionStatus.STARTING)
