"""The one place that wires by-cp's parts to a server.

Everything else takes what it needs as an argument; whoever writes a program can start here::

    async with ControlPlane.connect("redis://localhost:6379/0") as plane:
        response = await plane.client.send_message("echo", "session-1", "hello")
        for entry in await plane.history(response.execution_id):
            print(entry.position, entry.event.name)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import EqualJitterBackoff
from redis.exceptions import AuthenticationError, RedisError

from by_cp.adapters import store_of
from by_cp.client import GatewayClient
from by_cp.deadletters import DeadLetters
from by_cp.embedded import EmbeddedServer
from by_cp.errors import LoginRefused, ServerUnreachable
from by_cp.keys import RedisKeys
from by_cp.log.contract import Entry
from by_cp.log.redis.store import RedisStore
from by_cp.manager.controller import WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.manager.manager import Manager
from by_cp.manager.provider import WakeupProvider
from by_cp.operating import Operate
from by_cp.patience import Patience, heeding
from by_cp.quarantine import Quarantine
from by_cp.router import AvailabilityRouter
from by_cp.urls import check_url as check_parts
from by_cp.urls import invalid_url, without_password
from by_cp.views import LiveViews
from by_cp.wire import WakeupDecision
from by_cp.worker import Handler, Worker

SOCKET_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 64
"""Who needs one more waits for it: calls are gathered, so a few connections serve many callers."""
CONNECTION_WAIT_S = 20.0
RETRIES = 3
"""A call that broke is sent again so often: every call is idempotent."""

REPLIES_MAX = 1_000


class ControlPlane:
    """by-cp on one server. Made by `connect` or `embedded`.

    Attributes:
        url: the server's, for other processes; it may hold a password.
        redis: the client. It belongs to this object, and is closed with it.
        store: the log.
        client: sends messages to agents.
        router: what the client is made of, for commands of one's own.
        views: what is held, open, used and paused now.
        operate: what operators do: pause, force, limit, cancel.
        dead_letters: what could not be delivered, and its redriving.
        quarantine: what could not be read.

    """

    def __init__(self, redis: Redis, url: str) -> None:
        self.url = url
        self.redis = redis
        store = store_of(redis)
        assert isinstance(store, RedisStore)  # noqa: S101 - that is what one makes of a client
        self.store = store
        self.client = GatewayClient(redis_client=redis)
        self.router = AvailabilityRouter(redis)
        self.views = LiveViews(store)
        self.operate = Operate(store)
        self.dead_letters = DeadLetters(store)
        self.quarantine = Quarantine(store)

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, *, patience: Patience | None = None) -> AsyncIterator[Self]:
        """Connect to a server, and make sure that it is there and can do what by-cp needs.

        Args:
            url: `redis://user:password@host:port/db`, `rediss://…` with TLS, or `unix:///path`.
            patience: that of a service that shall wait for a server that is away.

        Raises:
            InvalidInput: the URL is none.
            ServerUnreachable: nobody answers there; with patience only if the login is refused.
            ServerUnsupported: it is too old, or forbids functions.

        """
        client = Redis.from_pool(_pool(url))
        try:
            plane = cls(client, url)
            await (plane.check() if patience is None else plane._check_patiently(patience))
            yield plane
        finally:
            await client.aclose()

    @classmethod
    @asynccontextmanager
    async def embedded(cls, directory: Path | None = None) -> AsyncIterator[Self]:
        """Start a server of one's own, and connect to it; it ends with the context.

        Args:
            directory: where the data is kept. Without one it is removed at the end.

        Raises:
            EmbeddedServerError: it is not installed, did not start, or the directory is in use.

        """
        async with (
            await EmbeddedServer.start(directory) as server,
            cls.connect(server.url) as plane,
        ):
            yield plane

    async def check(self) -> None:
        """Make sure that the server is there and can do what by-cp needs.

        Raises:
            ServerUnreachable: nobody answers there.
            ServerUnsupported: it is too old, or forbids functions.

        """
        await _greet(self.redis, self.url)
        await self.store.check()

    async def server_name(self) -> str:
        """Return what the server is, and its version, such as `Valkey 9.1.2`."""
        try:
            facts: Any = await self.redis.info("server")
        except (RedisError, OSError) as error:
            raise ServerUnreachable(f"the server does not answer: {error}") from error
        if "valkey_version" in facts:
            return f"Valkey {facts['valkey_version']}"
        return f"Redis {facts.get('redis_version', '?')}"

    async def _check_patiently(self, patience: Patience) -> None:
        while True:
            try:
                await heeding(self.check())
            except LoginRefused:
                raise
            except ServerUnreachable as error:
                await patience.pause_after(error)
            else:
                return patience.recovered()

    def controller(self, provider: WakeupProvider, **settings: Any) -> WakeupController:
        """Return a controller; its settings are those of `WakeupController`."""
        return WakeupController(self.store, provider, **settings)

    def gate(self, **settings: Any) -> DeliveryGate:
        """Return a gate; its settings are those of `DeliveryGate`."""
        return DeliveryGate(self.store, **settings)

    def manager(self, provider: WakeupProvider, **settings: Any) -> Manager:
        """Return a manager; its settings are those of `Manager`."""
        return Manager(self.store, provider, **settings)

    def worker(self, agent_types: str | Iterable[str], handler: Handler, **settings: Any) -> Worker:
        """Return a worker; its settings are those of `Worker`."""
        return Worker(self.store, agent_types, handler, **settings)

    async def decide(self, epoch: str, decision: WakeupDecision) -> None:
        """Tell how an attempt to wake came out, for a provider that answered QUEUED or STARTING.

        Args:
            epoch: the attempt's, as the provider got it in its request.
            decision: how it came out; `execution_id` is that of the request.

        """
        await self.store.decide(epoch, decision)

    async def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events, in order, each with its position.

        Raises:
            UnknownExecution: the log has none.

        """
        return await self.store.history(execution_id)

    async def replies(self, session_id: str, count: int = REPLIES_MAX) -> list[Mapping[str, Any]]:
        """Return the first messages that workers put into a session, as by-framework's JSON."""
        stream = RedisKeys.session_data_stream(session_id)
        entries: Any = await self.redis.xrange(stream, count=count)
        return [msgspec.json.decode(fields[b"data"]) for _, fields in entries]


def check_url(url: str) -> None:
    """Make sure that a URL can be one of a server; nothing is asked there.

    Raises:
        InvalidInput: it cannot.

    """
    _pool(url)


def _pool(url: str) -> BlockingConnectionPool:
    try:
        check_parts(url)
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=CONNECTION_WAIT_S,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(EqualJitterBackoff(cap=1, base=0.05), RETRIES),
        )
        pool.make_connection()  # with the URL's own settings, which are checked only now
    except (ValueError, TypeError, AttributeError) as error:
        raise invalid_url(url, error) from error
    return pool


async def _greet(client: Redis, url: str) -> None:
    try:
        await client.execute_command("PING")
    except AuthenticationError as error:
        raise LoginRefused(
            f"the server at {without_password(url)} refuses the login: {error}"
        ) from error
    except (RedisError, OSError) as error:
        raise ServerUnreachable(f"no server answers at {without_password(url)}: {error}") from error
