"""A command that runs in a process group of its own, with everything that it starts.

The group is the unit: it is signalled as one, and when the command itself has ended, whatever it
left in its group is killed. It ends with this process, too, however that goes: the kernel ends the
command (`by_cp.deathsig`), and the reaper the rest. What makes itself a session of its own
(`setsid`, a daemon, a container) has left the group, and lives on.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from by_cp.deathsig import dying_with_parent
from by_cp.limits import UNLIMITED, Limits
from by_cp.manager.providers.output import Output, Sink
from by_cp.manager.providers.reaper import Reaper

POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Start:
    """What to start.

    Attributes:
        command: a program and its arguments.
        env: all of its environment.
        directory: where it runs; None is where this process does.
        limits: what it may use.

    """

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    directory: Path | None = None
    limits: Limits = UNLIMITED


class ProcessGroup:
    """A running command. Made by `start`.

    Attributes:
        pid: the command's process, and the number of its group.

    """

    def __init__(
        self, process: asyncio.subprocess.Process, outputs: tuple[Output, ...], reaper: Reaper
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._outputs = outputs
        self._reaper = reaper
        self._grace_end_s = 0.0
        self._is_gone = False
        self._ending = asyncio.create_task(self._end())

    @classmethod
    async def start(
        cls,
        start: Start,
        reaper: Reaper,
        *,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: Sequence[Sink] = (),
        stderr: Sequence[Sink] | None = None,
    ) -> Self:
        """Start a command. A program that is not there is one that ends at once, with code 127.

        Call it in a thread that lives as long as the command shall: see `by_cp.deathsig`.

        Args:
            start: what to start.
            reaper: is told of the group, and ends it if this process dies.
            stdin: a file descriptor.
            stdout: where its output goes.
            stderr: where its errors go; None is where its output goes.

        Raises:
            OSError: no process can be made.

        """
        output, out_end = Output.open(*stdout)
        outputs: tuple[Output, ...] = (output,)
        err_end = out_end
        if stderr is not None:
            errors, err_end = Output.open(*stderr)
            outputs = (output, errors)
        try:
            process = await asyncio.create_subprocess_exec(
                *dying_with_parent(start.command, start.limits),
                stdin=stdin,
                stdout=out_end,
                stderr=err_end,
                env=start.env,
                cwd=start.directory,
                start_new_session=True,
            )
        except BaseException:
            for one in outputs:
                one.abandon()
            raise
        finally:
            for end in {out_end, err_end}:
                os.close(end)
        reaper.watch(process.pid)
        for one in outputs:
            one.start()
        return cls(process, outputs, reaper)

    @property
    def lives(self) -> bool:
        """Whether the command runs."""
        return self._process.returncode is None

    @property
    def code(self) -> int:
        """Its exit code, when it has ended; a signal's is negative."""
        return self._process.returncode or 0

    @property
    def end(self) -> str:
        """How it ended, in words."""
        return how_it_ended(self.code)

    async def ended(self) -> None:
        """Wait until the command has ended, and its group, and its output is complete."""
        await asyncio.shield(self._ending)

    async def stop(self, grace_s: float) -> None:
        """End the group: SIGTERM, and SIGKILL to what is there still after the grace.

        Cancelled, it kills the group at once.
        """
        self._grace_end_s = asyncio.get_running_loop().time() + grace_s
        self._signal(signal.SIGTERM)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self.ended()
        finally:
            self._grace_end_s = 0.0
            self._signal(signal.SIGKILL)
        await self.ended()

    async def _end(self) -> None:
        await self._process.wait()
        # A shell that was told to stop goes at once; what it had started may need its grace still.
        while self._has_grace() and self._signal(0):  # noqa: ASYNC110 - nobody tells it is empty
            await asyncio.sleep(POLL_S)
        # At once: as long as anybody is in the group its number is nobody else's, and if nobody is,
        # the system does not give it away again that soon.
        self._signal(signal.SIGKILL)
        self._is_gone = True
        self._reaper.forget(self.pid)
        await asyncio.gather(*(output.finish() for output in self._outputs))

    def _has_grace(self) -> bool:
        return asyncio.get_running_loop().time() < self._grace_end_s

    def _signal(self, number: int) -> bool:
        """Signal the group; return whether anybody is in it. 0 only asks."""
        if self._is_gone:
            return False
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
