"""The worker processes of one agent type: started, watched, kept warm, replaced and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from by_cp import logs
from by_cp.manager.providers.group import ProcessGroup, Start
from by_cp.manager.providers.output import LogFile, Tail
from by_cp.manager.providers.reaper import Reaper
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.patience import backoff_s

IDLE_EXIT_VARIABLE = "BY_CP_IDLE_EXIT_S"

HEALTHY_S = 10.0
"""A process that lived for so long did not fail at its start."""

PAUSE_MAX_S = 60.0
"""So long is the longest pause before a warm process that fails at its start is started again."""

STUCK_GRACE_S = 5.0
"""A stuck process has at most so long to end by itself: wakes wait for its place."""

NEARLY = 0.8
"""A wake that ends after this part of its time, or later, is taken for one that timed out."""

log = logs.named("by_cp.manager")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for all pools of a provider.

    Attributes:
        env: the workers' environment.
        reaper: ends what a killed manager leaves.
        ready_timeout_s: how long a process may take to bring a worker online.
        stop_grace_s: how long it has to end by itself after SIGTERM.

    """

    env: Mapping[str, str]
    reaper: Reaper
    ready_timeout_s: float
    stop_grace_s: float


class PoolClosed(Exception):
    """The manager is stopping: no process is started any more."""


class Child:
    """One worker process.

    Attributes:
        wake: for which wake it was started; "" is for none.
        awaited_s: since when a worker of it is awaited in vain; None if one is online, so far as is
            known.

    """

    def __init__(self, group: ProcessGroup, tail: Tail, wake: str, now_s: float) -> None:
        self.group = group
        self.tail = tail
        self.wake = wake
        self.started_s = now_s
        self.awaited_s: float | None = now_s if wake else None

    @property
    def obituary(self) -> str:
        """How it ended, and what it said last."""
        tail = str(self.tail)
        return f"the worker process {self.group.end}" + (f"; its log ends: {tail}" if tail else "")


class Pool:
    """The worker processes of one agent type.

    Args:
        agent_type: whose they are.
        spec: how to start them.
        terms: what holds for all pools.
        new_log: opens a log file for a process.

    """

    def __init__(
        self, agent_type: str, spec: WorkerSpec, terms: Terms, new_log: Callable[[], LogFile]
    ) -> None:
        self.agent_type = agent_type
        self.spec = spec
        self._terms = terms
        self._new_log = new_log
        self._children: list[Child] = []
        self._newest: Child | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._failures = 0
        self._is_closed = False

    @property
    def living(self) -> list[Child]:
        """The processes that run, the newest last."""
        return [child for child in self._children if child.group.lives]

    async def wake(self, wake: str) -> Child:
        """Return the process that shall bring a worker online: a new one, unless one is there.

        Raises:
            PoolClosed: the manager is stopping.

        """
        async with self._lock:
            for child in self.living:
                if self._is_stuck(child):
                    await self._stop_stuck(child)
            if not self.living:
                return await self._start(wake)
            for child in self.living:
                if child.awaited_s is None:
                    child.awaited_s = _now_s()
            return self.living[-1]

    async def watch(self, wake: str, wake_s: float) -> str:
        """Wait until it is clear that the wake has failed, and return why.

        A process that takes too long is replaced. So is, once, one that was on its way out when the
        wake came: it was not started for this wake, or it ended in order, idle again already.
        """
        began_s = _now_s()
        try:
            child = self._newest or await self.wake(wake)
            is_forgiven = False
            while True:
                if not await self._ended_in_time(child):
                    child = await self._replaced(child, wake)
                elif is_forgiven or (child.wake == wake and child.group.code != 0):
                    return child.obituary
                else:
                    is_forgiven = True
                    child = await self.wake(wake)
        except asyncio.CancelledError:
            # The end of its time, or a worker that came online: then nothing is awaited any more.
            if _now_s() - began_s < wake_s * NEARLY:
                for child in self._children:
                    child.awaited_s = None
            raise

    async def keep_warm(self) -> NoReturn:
        """Keep `warm_min` processes running, with pauses that grow if they fail at their start."""
        while True:
            self._changed.clear()
            if self._failures:
                await asyncio.sleep(backoff_s(self._failures, PAUSE_MAX_S))
            await self.grow(self.spec.warm_min)
            await self._changed.wait()

    async def grow(self, count: int) -> None:
        """Start what is missing of so many processes."""
        async with self._lock:
            while len(self.living) < min(count, self.spec.processes_max) and not self._is_closed:
                await self._start("")

    async def close(self) -> None:
        """End all processes, and start no more."""
        self._is_closed = True
        async with self._lock:
            grace_s = self._terms.stop_grace_s
            await asyncio.gather(*(child.group.stop(grace_s) for child in self._children))
            await asyncio.gather(*self._following)

    async def _ended_in_time(self, child: Child) -> bool:
        """Wait for a process's end; return False if it is stuck before that."""
        since_s = _now_s() if child.awaited_s is None else child.awaited_s
        try:
            async with asyncio.timeout_at(since_s + self._terms.ready_timeout_s):
                await child.group.ended()
        except TimeoutError:
            return False
        return True

    async def _replaced(self, child: Child, wake: str) -> Child:
        """Stop a stuck process, unless somebody has already, and start another."""
        async with self._lock:
            if child.group.lives:
                await self._stop_stuck(child)
            return self.living[-1] if self.living else await self._start(wake)

    def _is_stuck(self, child: Child) -> bool:
        if child.awaited_s is None:
            return False
        return _now_s() - child.awaited_s > self._terms.ready_timeout_s

    async def _stop_stuck(self, child: Child) -> None:
        log.warning("worker_stuck", agent_type=self.agent_type, pid=child.group.pid)
        await child.group.stop(min(STUCK_GRACE_S, self._terms.stop_grace_s))

    async def _start(self, wake: str) -> Child:
        if self._is_closed:
            raise PoolClosed
        is_warm = len(self.living) < self.spec.warm_min
        start = Start(
            command=self.spec.command,
            env=self._env(is_warm=is_warm),
            directory=self.spec.directory,
            limits=self.spec.limits,
        )
        tail = Tail()
        group = await ProcessGroup.start(start, self._terms.reaper, stdout=(tail, self._new_log()))
        log.info("worker_started", agent_type=self.agent_type, pid=group.pid)
        child = Child(group, tail, wake, _now_s())
        self._children.append(child)
        self._newest = child
        following = asyncio.create_task(self._follow(child))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        return child

    def _env(self, *, is_warm: bool) -> dict[str, str]:
        env = {**self._terms.env, **self.spec.env, "BY_CP_AGENT_TYPE": self.agent_type}
        env.pop(IDLE_EXIT_VARIABLE, None)
        if self.spec.idle_exit_s is not None and not is_warm:
            env[IDLE_EXIT_VARIABLE] = f"{self.spec.idle_exit_s:g}"
        return env

    async def _follow(self, child: Child) -> None:
        """See a process to its end."""
        await child.group.ended()
        lived_s = _now_s() - child.started_s
        self._failures = 0 if lived_s >= HEALTHY_S else self._failures + 1
        self._children.remove(child)
        self._changed.set()
        log.info(
            "worker_ended",
            agent_type=self.agent_type,
            pid=child.group.pid,
            how=child.group.end,
            lived_s=round(lived_s, 1),
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
