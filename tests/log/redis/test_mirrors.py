"""What by-framework's clients read of circuits, quotas and fallbacks: documents at its own keys.

They decide by themselves, before anything comes to by-cp; so what stands there must be true, and
must end by itself where by-cp's own state does.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.commands import Configure, GiveUp
from by_cp.log.redis.store import RedisStore
from by_cp.statemachine.events import CircuitForced, CircuitPolicySet, FallbackSet, QuotaSet
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import settle
from tests.making import make_request

CIRCUIT = RedisKeys.control_plane_agent_circuit("echo")
FALLBACK = RedisKeys.control_plane_agent_fallback("echo")
QUOTAS = (
    RedisKeys.control_plane_tenant_quota("acme"),
    RedisKeys.control_plane_user_quota("acme"),
)
OPEN_MS = 10_000


@pytest.fixture
def store(redis: Redis) -> RedisStore:
    """The store."""
    return RedisStore(redis)


async def document(redis: Redis, key: str) -> dict[str, Any] | None:
    """What stands at a key."""
    text = await redis.get(key)
    return None if text is None else dict(json.loads(text))


async def test_a_circuit_that_opened_by_itself_lets_calls_through_again(
    store: RedisStore, redis: Redis
) -> None:
    """When its open time is over; until then no call of by-framework's clients comes to by-cp."""
    policy = CircuitPolicySet("", "echo", 1, 60_000, OPEN_MS, 1, 5_000)
    await store.execute(Configure(event=policy))
    await store.execute(make_request("exec-1", RoutePolicy.WAKE_AND_QUEUE))
    await settle(store, "exec-1", "FAILED", reason="no image")
    assert await document(redis, CIRCUIT) == {
        "state": "OPEN",
        "reason": "no image",
        "by": "by-cp",
    }
    assert 0 < await redis.pttl(CIRCUIT) <= OPEN_MS


async def test_a_circuit_that_was_forced_stays(store: RedisStore, redis: Redis) -> None:
    """Until it is forced again."""
    await store.execute(Configure(event=CircuitForced("", "echo", "OPEN", "being mended")))
    assert await redis.pttl(CIRCUIT) == -1
    await store.execute(Configure(event=CircuitForced("", "echo", "AUTO")))
    assert await document(redis, CIRCUIT) is None


async def test_a_quota_is_said_to_be_used_up_while_it_is(store: RedisStore, redis: Redis) -> None:
    """Under both names that by-framework has for it."""
    await store.execute(Configure(event=QuotaSet("", "acme", 1)))
    request = make_request("exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
    await store.execute(request)
    for key in QUOTAS:
        said = await document(redis, key)
        assert said is not None
        assert (said["available"], said["by"]) == (False, "by-cp")
    await store.execute(GiveUp(execution_id="exec-1", reason="done"))
    assert [await document(redis, key) for key in QUOTAS] == [None, None]


async def test_a_fallback_is_said(store: RedisStore, redis: Redis) -> None:
    """And taken back."""
    await store.execute(Configure(event=FallbackSet("", "echo", "spare")))
    assert await document(redis, FALLBACK) == {"selected_agent_type": "spare", "by": "by-cp"}
    await store.execute(Configure(event=FallbackSet("", "echo", "")))
    assert await document(redis, FALLBACK) is None


@pytest.mark.parametrize("theirs", ['{"state":"CLOSED"}', "not JSON", "[]"])
async def test_what_someone_else_wrote_stays(store: RedisStore, redis: Redis, theirs: str) -> None:
    """It is theirs to change."""
    await redis.set(CIRCUIT, theirs)
    await store.execute(Configure(event=CircuitForced("", "echo", "OPEN")))
    await store.execute(Configure(event=CircuitForced("", "echo", "CLOSED")))
    assert (await redis.get(CIRCUIT)) == theirs.encode()
