"""An operator who meddles: pauses, resumes, forces circuits, sets fallbacks and limits."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import plan

from by_cp import logs
from by_cp.control_plane import ControlPlane
from by_cp.errors import FallbackRefused
from by_cp.log.commands import Configure
from by_cp.log.redis.store import RedisStore
from by_cp.patience import Patience
from by_cp.statemachine.events import (
    AgentPaused,
    AgentResumed,
    CircuitForced,
    DepthSet,
    FallbackSet,
    QuotaSet,
    SystemEvent,
)

BY = "torture"
PAUSE_S = 2.0


async def meddle(url: str, seed: int) -> None:
    """Meddle until cancelled; a server that is away is waited for."""
    chance = random.Random(f"{seed}/meddling")  # noqa: S311 - it must repeat
    async with ControlPlane.connect(url, patience=plan.patience()) as plane:
        while True:
            await asyncio.sleep(chance.uniform(0, 2 * PAUSE_S))
            done, undone = _something(chance)
            await _set(plane.store, done)
            await asyncio.sleep(chance.uniform(0, PAUSE_S))
            await _set(plane.store, undone)


async def undo(store: RedisStore) -> None:
    """Take back all that may have been left."""
    for name in plan.AGENT_TYPES:
        for event in (
            AgentResumed("", name, BY),
            CircuitForced("", name, "AUTO", "", BY),
            FallbackSet("", name, "", BY),
            DepthSet("", name, -1, BY),
        ):
            await store.execute(Configure(event=event))


def _something(chance: random.Random) -> tuple[SystemEvent, SystemEvent]:
    """Return what is done, and what takes it back."""
    name, other = chance.sample(plan.AGENT_TYPES, 2)
    tenant, limit = chance.choice(list(plan.QUOTAS.items()))
    return chance.choice(
        (
            (AgentPaused("", name, "a pause", BY), AgentResumed("", name, BY)),
            (
                CircuitForced("", name, "OPEN", "forced", BY),
                CircuitForced("", name, "AUTO", "", BY),
            ),
            (FallbackSet("", name, other, BY), FallbackSet("", name, "", BY)),
            (DepthSet("", name, 1, BY), DepthSet("", name, -1, BY)),
            (QuotaSet("", tenant, 1, BY), QuotaSet("", tenant, limit, BY)),
        )
    )


async def _set(store: RedisStore, event: SystemEvent) -> None:
    """Set it, unless the log refuses: a fallback may not lead in a circle."""
    command = Configure(event=event)
    with suppress(FallbackRefused):
        await Patience("meddling", logs.named("torture")).call(lambda: store.execute(command))
