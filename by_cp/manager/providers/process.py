"""A provider that starts worker processes on this machine, one for each agent type.

A process lives as long as its manager: `close` ends it, and if the manager is killed the kernel
ends it (see `by_cp.deathsig`). Each has a session of its own, so that Ctrl-C reaches the manager
only, which then ends its workers in order; and each is ended with whatever it started in turn.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from by_cp.deathsig import dying_with_parent
from by_cp.errors import InvalidInput
from by_cp.names import check_name
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

LOG_TAIL_BYTES = 4_096
LOG_TAIL_LINES = 3
"""So much of the log of a process that died goes into the reason of the wake's failure."""


@dataclass(frozen=True)
class _Child:
    """One worker process."""

    process: asyncio.subprocess.Process
    started_s: float
    log: Path
    log_from_bytes: int
    """Where in the log this process's output begins."""

    @property
    def lives(self) -> bool:
        return self.process.returncode is None


class ProcessProvider:
    """Starts workers as child processes. Use it as a context, or `close` it.

    A process finds the server's URL and its agent type in its environment, as BY_CP_URL and
    BY_CP_AGENT_TYPE; `by-cp worker` reads both.

    Args:
        commands: agent type -> program and arguments of its worker.
        url: the server's URL, for the workers.
        env: more environment for the workers, beside this process's own.
        log_directory: where the workers' output goes, a file for each agent type; without one, into
            a temporary directory that `close` removes.
        ready_timeout_s: a process that is asked for again after so many seconds, because no worker
            is online still or again, is taken for stuck and replaced.
        stop_grace_s: how many seconds a process has to end by itself after SIGTERM.

    Raises:
        InvalidInput: a command is empty, or no sequence of texts.

    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        url: str,
        env: Mapping[str, str] | None = None,
        log_directory: Path | None = None,
        ready_timeout_s: float = 30.0,
        stop_grace_s: float = 5.0,
    ) -> None:
        self._commands = {
            check_name("agent_type", agent_type): _checked(agent_type, command)
            for agent_type, command in commands.items()
        }
        self._env = {**os.environ, **(env or {}), "BY_CP_URL": url}
        self._log_directory = log_directory
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._ready_timeout_s = ready_timeout_s
        self._stop_grace_s = stop_grace_s
        self._children: dict[str, _Child] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._closed = False

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Start a worker of the agent type, unless one that was started is on its way."""
        agent_type = request.target_agent_type
        if agent_type not in self._commands:
            return _decision(
                request,
                WakeupDecisionStatus.REJECTED,
                f"no command is configured for agent type {agent_type!r}",
            )
        async with self._locks.setdefault(agent_type, asyncio.Lock()):
            if self._closed:
                return _decision(request, WakeupDecisionStatus.FAILED, "the manager is stopping")
            child = self._children.get(agent_type)
            if child is not None and child.lives and self._is_stuck(child):
                await self._stop(child)
            if child is None or not child.lives:
                child = await self._start(agent_type)
                self._children[agent_type] = child
        reason = f"process {child.process.pid} is starting"
        return _decision(request, WakeupDecisionStatus.STARTING, reason)

    async def watch(self, request: WakeupRequest) -> WakeupDecision:
        """Wait until the process of the agent type has ended, and say how."""
        child = self._children[request.target_agent_type]
        await child.process.wait()
        return _decision(request, WakeupDecisionStatus.FAILED, _obituary(child))

    async def close(self) -> None:
        """End all processes: SIGTERM, then, to those that take too long, SIGKILL."""
        self._closed = True
        await asyncio.gather(*(self._stop(child) for child in self._children.values()))
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    async def __aenter__(self) -> Self:
        """Enter a context that closes the provider at its end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the provider."""
        await self.close()

    def _is_stuck(self, child: _Child) -> bool:
        return time.monotonic() - child.started_s > self._ready_timeout_s

    async def _start(self, agent_type: str) -> _Child:
        log = self._logs() / _file_name(agent_type)
        with log.open("ab") as output:
            log_from_bytes = output.tell()
            process = await asyncio.create_subprocess_exec(
                *dying_with_parent(self._commands[agent_type]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**self._env, "BY_CP_AGENT_TYPE": agent_type},
                start_new_session=True,
            )
        return _Child(process, time.monotonic(), log, log_from_bytes)

    def _logs(self) -> Path:
        if self._log_directory is not None:
            self._log_directory.mkdir(parents=True, exist_ok=True)
            return self._log_directory
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(
                prefix="by-cp-workers-", ignore_cleanup_errors=True
            )
        return Path(self._temporary.name)

    async def _stop(self, child: _Child) -> None:
        if not child.lives:  # its pid may be another's by now
            return
        _signal(child, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_grace_s):
                await child.process.wait()
        # To itself, if it is still there, and to what it may have left behind in its group.
        _signal(child, signal.SIGKILL)
        await child.process.wait()


def _checked(agent_type: str, command: Sequence[str]) -> tuple[str, ...]:
    if isinstance(command, str) or not command or not all(isinstance(p, str) for p in command):
        raise InvalidInput(
            f"the command of agent type {agent_type!r} must be a program and its arguments, "
            f'as in ["by-cp", "worker"], not {command!r}'
        )
    return tuple(command)


def _decision(request: WakeupRequest, status: str, reason: str) -> WakeupDecision:
    return WakeupDecision(
        execution_id=request.execution_id,
        target_agent_type=request.target_agent_type,
        status=status,
        region=request.region,
        reason=reason,
    )


def _file_name(agent_type: str) -> str:
    """Return a name that no other agent type has, short enough for any file system."""
    digest = hashlib.sha256(agent_type.encode()).hexdigest()[:8]
    return f"{quote(agent_type, safe='')[:100]}-{digest}.log"


def _signal(child: _Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _obituary(child: _Child) -> str:
    code = child.process.returncode or 0
    how = f"exited with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
    tail = _tail(child)
    return f"the worker process {how}" + (f"; its log ends: {tail}" if tail else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tail(child: _Child) -> str:
    try:
        with child.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(child.log_from_bytes, end - LOG_TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-LOG_TAIL_LINES:])
