"""A provider that runs a command for each wake: any executable, in any language.

It gets the request as JSON on its standard input, and the most important of it in its environment.
It says what it decides in lines of JSON on its standard output; other lines are talk. STARTING and
QUEUED are shown at once, as progress; the last decision, with the exit code, is the outcome:

| the command ends with | what that is |
|---|---|
| code 0, and a decision was printed | that decision |
| code 0, and none was | STARTING |
| code 75 (EX_TEMPFAIL) | unavailable: asked again, the last decision's `retry_after_ms` later |
| another code or a signal, and FAILED or REJECTED was printed | that decision |
| another code or a signal | FAILED, with the end of its errors as the reason |
| nothing, within `timeout_s` | FAILED; it is killed, with everything that it started |

What it leaves in its process group is killed when it ends. Workers that shall live on belong to
somebody else: an orchestrator, a service manager, a container engine, or a session of their own
(`setsid`).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from by_cp.limits import UNLIMITED, Limits
from by_cp.manager.decisions import PROGRESS, understood
from by_cp.manager.provider import Progress, ProviderUnavailable
from by_cp.manager.providers.answers import decision
from by_cp.manager.providers.closing import Closing
from by_cp.manager.providers.group import ProcessGroup, Start
from by_cp.manager.providers.output import Tail
from by_cp.manager.providers.reaper import Reaper
from by_cp.manager.providers.spec import check_command
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

EX_TEMPFAIL: Final = 75

LINE_BYTES_MAX: Final = 65_536
"""A line of output is not read further."""

PROGRESS_MAX: Final = 32
"""So many times is progress shown in one wake: each time is an event for everyone who waits."""

_VARIABLES: Final = {
    "BY_CP_EXECUTION_ID": "execution_id",
    "BY_CP_AGENT_TYPE": "target_agent_type",
    "BY_CP_SESSION_ID": "session_id",
    "BY_CP_TRACE_ID": "trace_id",
    "BY_CP_USER_CODE": "user_code",
    "BY_CP_REGION": "region",
    "BY_CP_POLICY": "policy",
    "BY_CP_PRIORITY": "priority",
    "BY_CP_TIMEOUT_MS": "timeout_ms",
    "BY_CP_EPOCH": "epoch",
    "BY_CP_ATTEMPT": "attempt",
}


class CommandProvider(Closing):
    """Runs a command for each wake. Use it as a context, or `close` it.

    Args:
        command: a program and its arguments.
        url: the server's URL, which the command finds as BY_CP_URL.
        env: more environment, beside this process's own and the request's.
        directory: where it runs; None is where this process does.
        timeout_s: how long it may take, in seconds.
        stop_grace_s: how long it has to end by itself after SIGTERM.
        limits: what it may use.

    Raises:
        InvalidInput: the command is empty or no sequence of texts.

    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        url: str = "",
        env: Mapping[str, str] | None = None,
        directory: Path | None = None,
        timeout_s: float = 60.0,
        stop_grace_s: float = 2.0,
        limits: Limits = UNLIMITED,
    ) -> None:
        check_command(command)
        self._command = tuple(command)
        self._env = {**os.environ, **(env or {}), **({"BY_CP_URL": url} if url else {})}
        self._directory = directory
        self._timeout_s = timeout_s
        self._stop_grace_s = stop_grace_s
        self._limits = limits
        self._reaper = Reaper()
        self._groups: set[ProcessGroup] = set()
        self._is_closed = False

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Run the command, and return what it decides.

        Raises:
            ProviderUnavailable: it says so.

        """
        return await self._run(request, None)

    async def wakeup_with_progress(
        self, request: WakeupRequest, progress: Progress
    ) -> WakeupDecision:
        """Run the command, and show its progress meanwhile.

        Raises:
            ProviderUnavailable: it says so.

        """
        return await self._run(request, progress)

    async def close(self) -> None:
        """End the commands that run, and start no more."""
        self._is_closed = True
        try:
            await asyncio.gather(*(group.stop(self._stop_grace_s) for group in self._groups))
        finally:
            self._reaper.close()

    async def _run(self, request: WakeupRequest, progress: Progress | None) -> WakeupDecision:
        if self._is_closed:
            return decision(request, WakeupDecisionStatus.FAILED, "the manager is stopping")
        said, errors = _Said(), Tail()
        group = await self._start(request, said, errors)
        self._groups.add(group)
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                await self._follow(request, said, progress)
                await group.ended()
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the command did not end within {self._timeout_s:g} s" + _quoted(errors, said)
            return decision(request, WakeupDecisionStatus.FAILED, text)
        finally:
            await group.stop(self._stop_grace_s)
            self._groups.discard(group)
        return _decided(request, group, said, errors)

    async def _start(self, request: WakeupRequest, said: _Said, errors: Tail) -> ProcessGroup:
        start = Start(
            command=self._command,
            env={**self._env, **_variables(request)},
            directory=self._directory,
            limits=self._limits,
        )
        # A file, and not a pipe: nobody has to feed it, and the command may ignore it.
        with tempfile.TemporaryFile() as file:
            file.write(request.to_redis_payload()["data"].encode() + b"\n")
            file.seek(0)
            return await ProcessGroup.start(
                start, self._reaper, stdin=file.fileno(), stdout=(said,), stderr=(errors,)
            )

    async def _follow(self, request: WakeupRequest, said: _Said, progress: Progress | None) -> None:
        """Show progress until the output ends. What was shown last is not shown again."""
        shown: WakeupDecision | None = None
        count = 0
        while (line := await said.next()) is not None:
            news = _read(line, request)
            is_new = news.status in PROGRESS and news != shown
            if is_new and progress is not None and count < PROGRESS_MAX:
                shown = news
                count += 1
                await progress(news)


class _Said:
    """What a command prints: decisions, which are lines that begin with a brace, and talk."""

    def __init__(self) -> None:
        self.talk = Tail()
        self.last: bytes | None = None
        """The last decision."""
        self._line = b""
        self._news: deque[bytes] = deque(maxlen=PROGRESS_MAX)
        self._changed = asyncio.Event()
        self._is_over = False

    def write(self, data: bytes) -> None:
        """Take some output."""
        first, *others = data.split(b"\n")
        self._line = (self._line + first)[:LINE_BYTES_MAX]
        for part in others:
            self._take()
            self._line = part[:LINE_BYTES_MAX]

    def close(self) -> None:
        """Take no more."""
        self._take()
        self._is_over = True
        self._changed.set()

    async def next(self) -> bytes | None:
        """Return the next decision, or None when the output is over.

        Of those that nobody has asked for yet, only the last few are kept.
        """
        while not self._news and not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        return self._news.popleft() if self._news else None

    def _take(self) -> None:
        line = self._line.strip()
        self._line = b""
        if line.startswith(b"{"):
            self.last = line
            self._news.append(line)
            self._changed.set()
        elif line:
            self.talk.write(line + b"\n")


def _decided(
    request: WakeupRequest, group: ProcessGroup, said: _Said, errors: Tail
) -> WakeupDecision:
    """Return what it means that a command has ended."""
    last = None if said.last is None else _read(said.last, request)
    text = f"the command {group.end}" + _quoted(errors, said)
    if group.code == EX_TEMPFAIL:
        raise ProviderUnavailable(text, None if last is None else last.retry_after_ms)
    if group.code == 0:
        talk = str(said.talk) or f"the command {group.end}"
        return last or decision(request, WakeupDecisionStatus.STARTING, talk)
    if last and last.status in (WakeupDecisionStatus.FAILED, WakeupDecisionStatus.REJECTED):
        return last
    return decision(request, WakeupDecisionStatus.FAILED, text)


def _read(line: bytes, request: WakeupRequest) -> WakeupDecision:
    try:
        return understood(msgspec.json.decode(line), request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "the command printed a line that is no decision in JSON: "
        shown = line[:100].decode(errors="replace")
        return decision(request, WakeupDecisionStatus.FAILED, text + shown)


def _quoted(errors: Tail, said: _Said) -> str:
    """Return the end of what it had to say, for people."""
    tail = str(errors) or str(said.talk)
    return f": {tail}" if tail else ""


def _variables(request: WakeupRequest) -> dict[str, str]:
    """Return the environment that a request makes. No variable can hold a zero byte."""
    return {
        variable: str(getattr(request, name)).replace("\0", "\ufffd")
        for variable, name in _VARIABLES.items()
    }
