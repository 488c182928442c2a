"""A tiny process that outlives its manager by a moment, to end what a killed one left running.

A worker asks the kernel to die with its manager (`by_cp.deathsig`), but its command line may be a
wrapper, a shell or a launcher, whose children ask for nothing. So the reaper is told which process
groups there are. It reads that from a pipe, and the pipe ends when the manager is gone, however it
went: then the reaper kills the groups that are left, and ends.
"""

from __future__ import annotations

import subprocess
import sys
from typing import IO, Final

# It ignores the signals that a service manager or a terminal sends to all processes of a service:
# its own time comes after theirs.
_SOURCE: Final = """\
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
groups = set()
for line in sys.stdin.buffer:
    (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

_CLOSE_S: Final = 5.0


class Reaper:
    """Ends process groups when this process dies. It starts with the first group that it has."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The reaper's process, if it runs."""
        return None if self._process is None else self._process.pid

    def watch(self, group: int) -> None:
        """Take over a process group, to end it if this process dies before it says `forget`."""
        self._groups.add(group)
        if self._process is None:
            self._start()
        else:
            self._tell(b"+%d\n" % group)

    def forget(self, group: int) -> None:
        """Give a process group back: it has ended, and its number may be another's by now."""
        self._groups.discard(group)
        if self._process is not None:
            self._tell(b"-%d\n" % group)

    def close(self) -> None:
        """End the reaper. What it still watches, it kills."""
        if self._process is None:
            return
        _stdin(self._process).close()
        self._process.wait(_CLOSE_S)
        self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - it is our own
            [sys.executable, "-I", "-S", "-c", _SOURCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        for group in self._groups:
            _stdin(self._process).write(b"+%d\n" % group)

    def _tell(self, line: bytes) -> None:
        assert self._process is not None  # noqa: S101 - asked before
        try:
            _stdin(self._process).write(line)
        except BrokenPipeError:  # somebody killed it; the next one is told everything
            _stdin(self._process).close()
            self._process.wait()
            self._start()


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    return process.stdin
