"""Who passes what, and which store comes of it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import redis as blocking
from redis.asyncio import Redis

from by_cp import AgentContext, AvailabilityRouter, GatewayClient, interop
from by_cp.adapters import store_of
from by_cp.errors import InteropUnavailable
from by_cp.log.memory import MemoryStore
from by_cp.log.redis.store import RedisStore


def test_a_store_is_returned_as_it_is() -> None:
    """Tests and programs without a server pass their own."""
    store = MemoryStore()

    assert store_of(store) is store


async def test_one_client_has_one_store() -> None:
    """Whoever shares the client shares its reader of outcomes; another client has another."""
    client, other = Redis(), Redis()

    store = store_of(client)

    assert isinstance(store, RedisStore)
    assert store_of(client) is store
    assert store_of(other) is not store


async def test_a_store_goes_with_its_client() -> None:
    """Programs that make many clients do not keep a store of each for ever."""
    client = Redis()
    gone = weakref.ref(store_of(client))

    await client.aclose()
    del client
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize("wrong", [blocking.Redis(), "redis://localhost", object(), 7])
def test_anything_else_is_refused_by_its_type(wrong: Any) -> None:
    """The blocking client above all, which is the easiest to mistake."""
    with pytest.raises(TypeError, match=rf"redis\.asyncio.*{type(wrong).__name__}"):
        store_of(wrong)


async def test_a_pipeline_is_no_client() -> None:
    """It looks like one, but nothing that it is asked is answered."""
    with pytest.raises(TypeError, match="Pipeline"):
        store_of(Redis().pipeline())


def test_without_a_client_it_says_what_is_missing() -> None:
    """by-framework would have fallen back to a global one; here nothing is hidden."""
    with pytest.raises(TypeError, match="redis_client is missing"):
        GatewayClient()
    with pytest.raises(TypeError, match="redis_client is missing"):
        AgentContext("session-1", "trace-1")
    with pytest.raises(TypeError, match="redis_client is missing"):
        AvailabilityRouter(None)


def test_switching_what_is_not_there_is_refused() -> None:
    """In one sentence: these tests run without by-framework."""
    with pytest.raises(InteropUnavailable, match=r"not installed here; install one of 0\.2\.1"):
        interop.install()
