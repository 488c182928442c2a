"""A stock worker: by-framework's own worker and runner, with a handler of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from by_framework.core.protocol.commands import ResumeCommand
from by_framework.core.registry import WorkerRegistry
from by_framework.core.workspace import WorkspaceManager
from by_framework.worker.runner import WorkerRunner
from by_framework.worker.worker import GatewayWorker
from redis.asyncio import Redis

from tests.waiting import until

Handler = Callable[[Any, Any], Awaitable[Any]]
"""Takes a command and its context; returns what `process_command` may return."""


class StockWorker(GatewayWorker):
    """A worker that notes what it handles, and answers with the handler's answer, or an echo."""

    def __init__(self, agent_type: str, handler: Handler | None, **rest: Any) -> None:
        super().__init__(f"worker-of-{agent_type}", **rest)
        self.agent_type = agent_type
        self.handled: list[Any] = []
        self._handler = handler

    def get_agent_types(self) -> list[str]:
        """Serve one agent type."""
        return [self.agent_type]

    async def process_command(self, command: Any, context: Any) -> Any:
        """Handle a command."""
        self.handled.append(command)
        if self._handler is not None:
            return await self._handler(command, context)
        return {"content": f"echo: {command.content}"}

    def contents(self) -> list[Any]:
        """Return the contents of what it was asked."""
        return [command.content for command in self.handled]

    def resumes(self) -> list[ResumeCommand]:
        """Return the commands that resumed something."""
        return [command for command in self.handled if isinstance(command, ResumeCommand)]


@asynccontextmanager
async def working(
    redis: Redis, workspace: Path, agent_type: str, handler: Handler | None
) -> AsyncIterator[StockWorker]:
    """Run a stock worker, as `run_worker` does, from the moment when it is online."""
    registry = WorkerRegistry(redis)
    worker = StockWorker(
        agent_type,
        handler,
        redis_client=redis,
        registry=registry,
        workspace_manager=WorkspaceManager(str(workspace)),
    )
    running = asyncio.create_task(WorkerRunner(redis, worker, "agent_engines").start())
    try:
        await until(lambda: registry.is_worker_online(worker.worker_id))
        yield worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
