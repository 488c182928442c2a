"""A provider that starts worker processes on this machine.

A process lives as long as its manager: `close` ends it, and if the manager is killed the kernel and
the reaper end it (see `by_cp.manager.providers.group`). Each has a session of its own, so that
Ctrl-C reaches the manager only, which then ends its workers in order; and each is ended with
whatever it started in turn. Each manager has its own processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from by_cp import logs
from by_cp.errors import InvalidInput
from by_cp.manager.providers.answers import decision
from by_cp.manager.providers.backlog import Backlog
from by_cp.manager.providers.closing import Closing
from by_cp.manager.providers.output import LogFile
from by_cp.manager.providers.pool import Pool, PoolClosed, Terms
from by_cp.manager.providers.reaper import Reaper
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.names import check_name
from by_cp.patience import Patience
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

log = logs.named("by_cp.manager")


class ProcessProvider(Closing):
    """Starts workers as child processes. Use it as a context, or `close` it.

    A process finds the server's URL and its agent type in its environment, as BY_CP_URL and
    BY_CP_AGENT_TYPE; `by-cp worker` reads both.

    Args:
        commands: agent type -> how to start its workers: a `WorkerSpec`, or only the program and
            its arguments.
        url: the server's URL, for the workers.
        env: more environment for the workers, beside this process's own.
        log_directory: where the workers' output goes, a file for each process; without one, into a
            temporary directory that `close` removes.
        ready_timeout_s: a process that has been waited for so many seconds, while no worker was
            online, is taken for stuck and replaced.
        stop_grace_s: how many seconds a process has to end by itself after SIGTERM; by default a
            little more than `by-cp worker` takes to finish what it handles.
        backlog: tells how many commands wait, for agent types with more than one process.
        backlog_interval_s: how often it is asked.

    Raises:
        InvalidInput: a command is empty or no sequence of texts; or there may be several processes,
            but nothing tells how many are needed.

    """

    def __init__(
        self,
        commands: Mapping[str, WorkerSpec | Sequence[str]],
        *,
        url: str,
        env: Mapping[str, str] | None = None,
        log_directory: Path | None = None,
        ready_timeout_s: float = 30.0,
        stop_grace_s: float = 35.0,
        backlog: Backlog | None = None,
        backlog_interval_s: float = 1.0,
    ) -> None:
        self._log_directory = log_directory
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._backlog = backlog
        self._backlog_interval_s = backlog_interval_s
        self._reaper = Reaper()
        terms = Terms(
            env={**os.environ, **(env or {}), "BY_CP_URL": url},
            reaper=self._reaper,
            ready_timeout_s=ready_timeout_s,
            stop_grace_s=stop_grace_s,
        )
        self._pools = {
            agent_type: self._pool(agent_type, command, terms)
            for agent_type, command in commands.items()
        }

    def _pool(self, agent_type: str, command: WorkerSpec | Sequence[str], terms: Terms) -> Pool:
        check_name("agent_type", agent_type)
        try:
            spec = command if isinstance(command, WorkerSpec) else WorkerSpec(command=command)
        except InvalidInput as error:
            raise InvalidInput(f"agent type {agent_type!r}: {error}") from error
        if self._backlog is None and spec.processes_max > max(1, spec.warm_min):
            raise InvalidInput(
                f"agent type {agent_type!r}: without a backlog nothing tells when more than one "
                "process is needed; pass `backlog`, or raise warm_min to processes_max"
            )
        return Pool(agent_type, spec, terms, lambda: self._new_log(agent_type, spec))

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Start a worker of the agent type, unless one that was started is on its way."""
        pool = self._pools.get(request.target_agent_type)
        if pool is None:
            return decision(
                request,
                WakeupDecisionStatus.REJECTED,
                f"no command is configured for agent type {request.target_agent_type!r}",
            )
        try:
            child = await pool.wake(_key(request))
        except PoolClosed:
            return _stopping(request)
        reason = f"process {child.group.pid} is starting"
        return decision(request, WakeupDecisionStatus.STARTING, reason)

    async def watch(self, request: WakeupRequest) -> WakeupDecision:
        """Wait until the processes of the agent type have failed to bring a worker, and say how."""
        pool = self._pools[request.target_agent_type]
        try:
            reason = await pool.watch(_key(request), request.timeout_ms / 1000)
        except PoolClosed:
            return _stopping(request)
        return decision(request, WakeupDecisionStatus.FAILED, reason)

    async def run(self) -> None:
        """Keep the warm minimum running, and start more processes where there is a backlog."""
        async with asyncio.TaskGroup() as tasks:
            for pool in self._pools.values():
                if pool.spec.warm_min:
                    tasks.create_task(pool.keep_warm())
                if self._backlog is not None and pool.spec.processes_max > 1:
                    tasks.create_task(self._grow(pool, self._backlog))

    async def close(self) -> None:
        """End all processes: SIGTERM, then, to those that take too long, SIGKILL."""
        try:
            await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        finally:
            self._reaper.close()
            if self._temporary is not None:
                self._temporary.cleanup()
                self._temporary = None

    async def _grow(self, pool: Pool, backlog: Backlog) -> None:
        """Start processes for what waits. None for an agent type that is asleep: that needs a wake.

        They become fewer by themselves, when they are idle.
        """

        async def step() -> float:
            if pool.living:
                waiting = await backlog(pool.agent_type)
                await pool.grow(math.ceil(waiting / pool.spec.backlog_per_process))
            return self._backlog_interval_s

        await Patience("processes", log).repeat(step)

    def _new_log(self, agent_type: str, spec: WorkerSpec) -> LogFile:
        directory = self._log_directory
        if directory is None:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(
                    prefix="by-cp-workers-", ignore_cleanup_errors=True
                )
            directory = Path(self._temporary.name)
        return LogFile(directory, _stem(agent_type), spec.log_bytes_max)


def _key(request: WakeupRequest) -> str:
    """Return what tells one call from another."""
    return request.epoch or request.execution_id


def _stopping(request: WakeupRequest) -> WakeupDecision:
    return decision(request, WakeupDecisionStatus.FAILED, "the manager is stopping")


def _stem(agent_type: str) -> str:
    """Return a file name that no other agent type has, short enough for any file system."""
    digest = hashlib.sha256(agent_type.encode()).hexdigest()[:8]
    return f"{quote(agent_type, safe='')[:100]}-{digest}"
