"""The one place that makes a store of a Redis client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from by_cp.log.contract import Store
    from by_cp.log.live import LiveRows
    from by_cp.log.rawlog import RawLog
    from by_cp.log.redis.heads import Heads

RedisOrStore: TypeAlias = "Redis | Store"
"""What users pass: a client of `redis.asyncio`, or a store."""

_STORE_OF_CLIENT = "_by_cp_store"


class HasRedis(Protocol):
    """Whatever carries a client: by-framework's WorkerRegistry, for one."""

    redis: Any


def store_of(redis_or_store: RedisOrStore) -> Store:
    """Return the store for a client; a store is returned as it is.

    One client has one store, whoever asks: all that share the client share the store's reader of
    outcomes and its gathering of calls.

    Raises:
        TypeError: it is neither a client of `redis.asyncio` nor a store.

    """
    if _is_store(redis_or_store):
        return cast("Store", redis_or_store)

    # Imported here, so that a program without a server (a test on a MemoryStore) needs no redis.
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

    if not isinstance(redis_or_store, Redis) or isinstance(redis_or_store, Pipeline):
        kind = type(redis_or_store)
        raise TypeError(
            "redis must be a client of redis.asyncio or a by_cp store, "
            f"not {kind.__module__}.{kind.__qualname__}"
        )
    from by_cp.log.redis.store import RedisStore

    # The store hangs on its client. A table beside it, weak keys or not, would keep both for ever,
    # because a store holds its client.
    store: Store | None = vars(redis_or_store).get(_STORE_OF_CLIENT)
    if store is None:
        store = RedisStore(redis_or_store)
        setattr(redis_or_store, _STORE_OF_CLIENT, store)
    return store


def raw_log_at(url: str) -> RawLog:
    """Return the log of a server, below its events; whoever asked closes it.

    Args:
        url: `redis://user:password@host:port/db`, `rediss://…` with TLS, or `unix:///path`.

    Raises:
        InvalidInput: the URL is none.

    """
    from by_cp.log.redis.rawlog import RedisRawLog

    return RedisRawLog(url)


def live_rows_at(url: str) -> LiveRows:
    """Return a server's live rows, to be compared and put back; whoever asked closes it.

    Args:
        url: as of `raw_log_at`.

    Raises:
        InvalidInput: the URL is none.

    """
    from by_cp.log.redis.live import RedisLive

    return RedisLive(url)


def heads_at(url: str) -> Heads:
    """Return what the heads on a server lead to, at once; whoever asked closes it.

    Args:
        url: `redis://user:password@host:port/db`, `rediss://…` with TLS, or `unix:///path`.

    Raises:
        InvalidInput: the URL is none.
        ServerUnreachable: nobody answers there, or the login is refused.

    """
    from by_cp.log.redis.heads import Heads

    return Heads(url)


def chosen(redis: RedisOrStore | None, registry: HasRedis | None) -> RedisOrStore:
    """Return the client that was passed or, as by-framework does, the registry's.

    Raises:
        TypeError: neither was passed.

    """
    found: RedisOrStore | None = redis if redis is not None else getattr(registry, "redis", None)
    if found is None:
        raise TypeError("redis_client is missing: a client of redis.asyncio, or a by_cp store")
    return found


def _is_store(candidate: object) -> bool:
    return all(hasattr(candidate, name) for name in ("execute", "waiting", "inbox"))
