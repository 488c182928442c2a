"""Calls to the server, gathered.

What is asked for while one round trip is under way goes together in the next.

One awaited call each costs the client several times what a pipeline of them does
(`benchmarks/`), and a pipeline needs one connection where they would need many. Every call is
idempotent, so the client's own retries after a broken connection are safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis.client import NEVER_DECODE
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from by_cp.errors import ServerError, ServerUnreachable, ServerUnsupported
from by_cp.log.redis import library

if TYPE_CHECKING:
    from redis.asyncio import Redis

BATCH_MAX = 512
"""Calls in one pipeline, at most."""

_RAW: dict[str, Any] = {NEVER_DECODE: True}  # replies are bytes, whatever the client was told


def server_error(error: Exception) -> ServerError:
    """Return by-cp's error for one of the client library's."""
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
        return ServerUnreachable(f"the server does not answer: {error}")
    if isinstance(error, NoPermissionError) or "unknown command" in str(error).lower():
        return ServerUnsupported(
            f"the server forbids what by-cp needs ({error}); Redis >= 7.0 or Valkey >= 8, "
            "with leave to call functions, is needed"
        )
    return ServerError(f"the server refused: {error}")


@contextmanager
def server_errors() -> Iterator[None]:
    """Turn the client library's errors into by-cp's."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise server_error(error) from error


class Caller:
    """Sends calls of the library's function, and what else does not block, over one client."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: deque[tuple[tuple[Any, ...], asyncio.Future[Any]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def call(self, keys: list[str], arguments: tuple[str | bytes | int, ...]) -> Any:
        """Call the function; loads the library if the server does not have it yet.

        Raises:
            ServerError: the server is away, or cannot do it.

        """
        return await self._ask(("FCALL", library.function_name(), len(keys), *keys, *arguments))

    async def command(self, *parts: str | bytes | float) -> Any:
        """Send one of the server's own commands, together with what else is on its way.

        Raises:
            ServerError: the server is away, or refuses.

        """
        return await self._ask(parts)

    async def _ask(self, packed: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((packed, future))
        if self._sender is None or self._sender.done() or self._sender.get_loop() is not loop:
            self._sender = loop.create_task(self._send())
        return await future

    async def load(self) -> None:
        """Load the library. Harmless when it is there.

        Raises:
            ServerError: the server is away, or cannot do it.

        """
        try:
            await self._client.execute_command("FUNCTION", "LOAD", library.source())
        except ResponseError as error:
            if "already exists" not in str(error):
                raise server_error(error) from error
        except (RedisError, OSError) as error:
            raise server_error(error) from error

    async def _send(self) -> None:
        """Send until nobody waits. What comes in during a round trip goes with the next."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            # Whoever was cancelled before the call was sent does not want it sent.
            batch = [(packed, future) for packed, future in batch if not future.done()]
            if not batch:
                continue
            try:
                replies = await self._round_trip([packed for packed, _ in batch])
            except asyncio.CancelledError:
                for _, future in batch:
                    future.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - it is handed on to every caller
                replies = [error] * len(batch)
            for (_, future), reply in zip(batch, replies, strict=True):
                _settle(future, reply)

    async def _round_trip(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        replies = await self._execute(calls)
        missing = [i for i, reply in enumerate(replies) if _is_missing(reply)]
        if missing:
            await self.load()
            again = await self._execute([calls[i] for i in missing])
            for i, reply in zip(missing, again, strict=True):
                replies[i] = reply
        return replies

    async def _execute(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        if len(calls) == 1:
            try:
                return [await self._client.execute_command(*calls[0], **_RAW)]
            except ResponseError as error:
                return [error]
        pipeline = self._client.pipeline(transaction=False)
        for packed in calls:
            pipeline.execute_command(*packed, **_RAW)
        return await pipeline.execute(raise_on_error=False)


def _is_missing(reply: Any) -> bool:
    return isinstance(reply, ResponseError) and "function not found" in str(reply).lower()


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # whoever asked was cancelled
        return
    if isinstance(reply, (RedisError, OSError)):
        error = server_error(reply)
        error.__cause__ = reply
        future.set_exception(error)
    elif isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
