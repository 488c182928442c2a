"""A worker: it says that it is online, takes commands, hands them to a handler, and replies.

Small on purpose: it lets by-cp run without by-framework, whose workers may serve the same agent
types beside it. A command that was taken is handled and acknowledged, whatever the handler made of
it: an error is told to the session, and tried again by nobody but the user. Only what a worker had
in hand when it died is handled by another, perhaps for the second time.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from by_cp import logs, replies
from by_cp.adapters import RedisOrStore, store_of
from by_cp.errors import InvalidInput, ServerError
from by_cp.log.contract import Delivery, Store
from by_cp.names import check_name
from by_cp.patience import Patience

Handler: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Takes a command (`action_type`, `header`, `body`), and returns the reply or None; or a coroutine
function that does. A plain function runs in a thread."""

BLOCK_MS = 500
"""How long one request for commands waits at the server; so long may a stop take, too."""

LINGER_MS = 1_000
"""So long does an idle worker that went offline wait for what was on its way to it."""

RETIRE_S = 2.0

log = logs.named("by_cp.worker")


class Worker:
    """Handles the commands of some agent types.

    Args:
        redis: a client of `redis.asyncio`, or a store.
        agent_types: one name, or several.
        handler: is called with each command; see `Handler`.
        worker_id: this worker's name; it must be unique.
        lease_ttl_ms: after so long without a sign of life the worker counts as offline.
        heartbeat_s: how often it gives one.
        concurrency_max: so many commands are handled at once.
        drain_s: how long a stop waits for the commands that are being handled.
        idle_exit_s: after so long without a command the worker ends by itself; None is never. It
            goes offline first and then looks once more: a command that came just then is handled,
            and the worker stays.

    Raises:
        InvalidInput: a name or `idle_exit_s` is not acceptable.

    """

    def __init__(
        self,
        redis: RedisOrStore,
        agent_types: str | Iterable[str],
        handler: Handler,
        *,
        worker_id: str | None = None,
        lease_ttl_ms: int = 15_000,
        heartbeat_s: float = 5.0,
        concurrency_max: int = 16,
        drain_s: float = 30.0,
        idle_exit_s: float | None = None,
    ) -> None:
        self._store: Store = store_of(redis)
        names = (agent_types,) if isinstance(agent_types, str) else tuple(agent_types)
        self.agent_types = tuple(dict.fromkeys(check_name("agent_type", name) for name in names))
        if not self.agent_types:
            raise InvalidInput("a worker needs an agent type")
        self.worker_id = check_name("worker_id", worker_id or _new_worker_id())
        self._handler = handler
        self._lease_ttl_ms = lease_ttl_ms
        self._heartbeat_s = heartbeat_s
        self._concurrency_max = max(1, concurrency_max)
        self._drain_s = drain_s
        if idle_exit_s is not None and not idle_exit_s > 0:
            raise InvalidInput(f"idle_exit_s must be over 0, not {idle_exit_s!r}")
        self._idle_exit_s = idle_exit_s
        self._busy_s = 0.0
        self._look_again_s = 0.0
        self._lease = asyncio.Lock()
        self._has_left = False
        self._patience = Patience("worker", log)
        self._heart = Patience("heartbeat", log)
        self._handling: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(self._concurrency_max)
        self._stopping = asyncio.Event()
        self._threads: ThreadPoolExecutor | None = None

    async def run(self) -> None:
        """Work until cancelled, or idle for too long; finish what is being handled, and retire.

        A second cancellation ends it at once. A server that is away is waited for.
        """
        self._stopping.clear()
        self._has_left = False
        self._busy_s = _now_s()
        self._look_again_s = 0.0
        await self._heart.call(self._announce)
        log.info("worker_online", worker_id=self.worker_id, agent_types=self.agent_types)
        beating = asyncio.create_task(self._heart.repeat(self._beat))
        taking = asyncio.create_task(self._take_until_stopped())
        try:
            await asyncio.wait((beating, taking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            try:
                await self._stop(taking)
            finally:
                for task in (beating, taking, *self._handling):
                    task.cancel()
                await self._retire()

    async def _announce(self) -> None:
        await self._store.announce(
            self.worker_id, self.agent_types, self._lease_ttl_ms, self._concurrency_max
        )

    async def _beat(self) -> float:
        async with self._lease:
            if not self._has_left:
                await self._announce()
        return self._heartbeat_s

    async def _take_until_stopped(self) -> None:
        while not self._stopping.is_set():
            free = self._concurrency_max - len(self._handling)
            if free <= 0:
                await asyncio.wait(self._handling, return_when=asyncio.FIRST_COMPLETED)
                continue
            try:
                if not await self._take(free, BLOCK_MS) and self._is_idle() and await self._leave():
                    return
            except Exception as error:  # noqa: BLE001 - the next try may succeed
                await self._patience.pause_after(error)
            else:
                self._patience.recovered()

    async def _take(self, count: int, block_ms: int) -> bool:
        """Take commands and begin to handle them; return whether there were any."""
        deliveries = await self._left_behind(count)
        if not deliveries:
            deliveries = await self._store.take_deliveries(
                self.agent_types, self.worker_id, count, block_ms
            )
        for delivery in deliveries:
            task = asyncio.create_task(self._handle(delivery))
            self._handling.add(task)
            task.add_done_callback(self._handled)
        return bool(deliveries)

    async def _left_behind(self, count: int) -> list[Delivery]:
        """Take, now and then, what workers had in hand that died. Handlers may see it twice."""
        now_s = _now_s()
        if now_s < self._look_again_s:
            return []
        self._look_again_s = now_s + self._heartbeat_s
        left = await self._store.take_over_deliveries(self.agent_types, self.worker_id, count)
        if left:
            log.info("taken_over", worker_id=self.worker_id, commands=len(left))
        return left

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        self._busy_s = _now_s()

    def _is_idle(self) -> bool:
        if self._idle_exit_s is None or self._handling:
            return False
        return _now_s() - self._busy_s >= self._idle_exit_s

    async def _leave(self) -> bool:
        """Go offline, unless a command still comes; return whether it is so.

        Once the lease is gone nobody new sees this worker online; who saw it a moment before may
        still be delivering, and that is awaited.
        """
        async with self._lease:
            await self._store.retire(self.worker_id)
            self._has_left = not await self._take(self._concurrency_max, LINGER_MS)
            if not self._has_left:
                await self._announce()
                return False
        log.info("worker_idle", worker_id=self.worker_id)
        return True

    async def _stop(self, taking: asyncio.Task[None]) -> None:
        """Take no more, and wait for what was taken.

        What is being asked of the server is not cancelled: the answer may hold commands, and they
        are given to nobody else.
        """
        self._stopping.set()
        await asyncio.wait((taking,), timeout=BLOCK_MS / 1000 + 1)
        if self._handling:
            log.info("worker_draining", worker_id=self.worker_id, commands=len(self._handling))
            await asyncio.wait(tuple(self._handling), timeout=self._drain_s)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _retire(self) -> None:
        try:
            async with asyncio.timeout(RETIRE_S):
                await self._store.retire(self.worker_id)
        except (ServerError, TimeoutError) as error:
            log.warning("worker_not_retired", worker_id=self.worker_id, error=str(error))
        else:
            log.info("worker_retired", worker_id=self.worker_id)

    async def _handle(self, delivery: Delivery) -> None:
        """Handle one command, reply, and acknowledge it."""
        async with self._slots:
            command = _decoded(delivery)
            if command is not None:
                for message in await self._messages(command, delivery.execution_id):
                    await self._reply(command, message)
            await self._patience.call(lambda: self._store.acknowledge(delivery))
            log.debug("command_handled", execution_id=delivery.execution_id)

    async def _messages(self, command: Mapping[str, Any], execution_id: str) -> list[str]:
        """Call the handler; return what is to be said in the session."""
        try:
            reply = await self._called(command)
            if reply is None:
                return []
            messages = [replies.answer(command, reply, execution_id)]
        except Exception as error:
            log.exception("handler_raised", execution_id=execution_id)
            messages = [replies.failure(command, error, execution_id)]
        if replies.is_asked_by_user(command):
            messages.append(replies.end_of_answer(command, execution_id))
        return messages

    async def _called(self, command: Mapping[str, Any]) -> Any:
        if _is_async(self._handler):
            return await self._handler(command)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency_max, "by-cp-handler")
        call = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        reply = await loop.run_in_executor(self._threads, call, self._handler, command)
        return await reply if isinstance(reply, Awaitable) else reply

    async def _reply(self, command: Mapping[str, Any], message: str) -> None:
        session_id = str(replies.header_of(command).get("session_id") or "")
        if session_id:
            await self._patience.call(lambda: self._store.reply(session_id, message))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _new_worker_id() -> str:
    return f"worker-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


def _is_async(handler: Handler) -> bool:
    call = getattr(handler, "__call__", None)  # noqa: B004 - of an object that is called
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _decoded(delivery: Delivery) -> Mapping[str, Any] | None:
    """Return the command, or None for what is none: no handler could do anything with it."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        command = msgspec.json.decode(delivery.data)
        if isinstance(command, dict):
            return command
    log.error("no_command", stream=delivery.stream, entry_id=delivery.entry_id)
    return None
