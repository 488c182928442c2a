"""What processes print: taken through a pipe, its end remembered, all of it in a bounded log file.

The manager writes the files, not the workers: only so can a file be bounded while a worker has it
open, whatever the worker is written in. A worker that prints faster than that is slowed down, and
one whose log cannot be written goes on without.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from io import FileIO
from pathlib import Path
from typing import Protocol, Self

from by_cp import logs

CHUNK_BYTES = 65_536
TAIL_BYTES = 4_096
TAIL_LINES = 3
"""So much of what a process printed goes into the reason of a failure."""

EOF_WAIT_S = 1.0
"""After a process has ended, so long is its output read on: something that it started and that left
its process group may hold the pipe open for ever."""

FILES_MAX = 1_000

log = logs.named("by_cp.manager")


class Sink(Protocol):
    """Where output goes."""

    def write(self, data: bytes) -> None:
        """Take some output."""
        ...

    def close(self) -> None:
        """Take no more."""
        ...


class Tail:
    """The end of what was printed."""

    def __init__(self) -> None:
        self._bytes = b""

    def write(self, data: bytes) -> None:
        """Take some output."""
        self._bytes = (self._bytes + data)[-TAIL_BYTES:]

    def close(self) -> None:
        """Keep what there is: it is asked for at the end."""

    def __str__(self) -> str:
        """Return its last lines, on one."""
        lines = [line.strip() for line in self._bytes.decode(errors="replace").splitlines()]
        return " | ".join([line for line in lines if line][-TAIL_LINES:])


class LogFile:
    """A log file of bounded size. When it is full it becomes `NAME.old.log`, and a new one begins.

    Nobody else writes into the file meanwhile, nor does another manager on this machine: the first
    name of `STEM.log`, `STEM-2.log`, `STEM-3.log`, … that is not in use is taken.

    Args:
        directory: where it is; made if it is not there.
        stem: how its name begins.
        bytes_max: the file has at most so many bytes, and the old one as well; CHUNK_BYTES at
            least.

    Raises:
        OSError: no file can be written there.

    """

    def __init__(self, directory: Path, stem: str, bytes_max: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._stem = stem
        self._bytes_max = bytes_max
        self._file = self._open()
        self._complained = False

    @property
    def path(self) -> Path:
        """Where the output goes now."""
        return Path(str(self._file.name))

    def write(self, data: bytes) -> None:
        """Append output; one that cannot be written is lost, and the first one of these is told."""
        try:
            room = self._bytes_max - self._file.tell()
            if len(data) > room:
                # At a line's end, if there is one: lines stay whole.
                cut = data.rfind(b"\n", 0, max(room, 0)) + 1
                self._file.write(data[:cut])
                self._rotate()
                data = data[cut:]
            self._file.write(data)
        except OSError as error:
            if not self._complained:
                log.warning("log_not_written", file=str(self.path), error=str(error))
            self._complained = True

    def close(self) -> None:
        """Close the file; the next process may have it."""
        self._file.close()

    def _rotate(self) -> None:
        path = self.path
        path.replace(path.with_suffix(".old.log"))
        with self._file:  # its lock is kept until the new one is had
            self._file = self._open()

    def _open(self) -> FileIO:
        for number in range(1, FILES_MAX + 1):
            name = self._stem if number == 1 else f"{self._stem}-{number}"
            file = (self._directory / f"{name}.log").open("ab", buffering=0)
            if _locked(file):
                return file
            file.close()
        raise OSError(f"{FILES_MAX:,} log files {self._stem!r} are in use in {self._directory}")


class Output:
    """One process's output, on its way through a pipe into sinks."""

    def __init__(self, pipe: int, sinks: tuple[Sink, ...]) -> None:
        self._pipe = pipe
        self._sinks = sinks
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, *sinks: Sink) -> tuple[Self, int]:
        """Return the output, and the end of the pipe to give to the process, and then close."""
        reading, writing = os.pipe()
        return cls(reading, sinks), writing

    def start(self) -> None:
        """Begin to read."""
        self._reading = asyncio.create_task(self._read())

    def abandon(self) -> None:
        """Read nothing: there is no process."""
        os.close(self._pipe)
        self._close_sinks()

    async def finish(self) -> None:
        """Read what the process has printed, now that it has ended."""
        if self._reading is not None:
            await asyncio.wait((self._reading,), timeout=EOF_WAIT_S)
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._pipe, "rb", 0)
        )
        try:
            while data := await reader.read(CHUNK_BYTES):
                for sink in self._sinks:
                    sink.write(data)
        finally:
            transport.close()
            self._close_sinks()

    def _close_sinks(self) -> None:
        for sink in self._sinks:
            sink.close()


def _locked(file: FileIO) -> bool:
    """Lock a file, unless somebody has it or has just renamed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(Path(str(file.name)).stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False
