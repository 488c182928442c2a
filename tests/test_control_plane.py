"""The control plane: everything wired to one server, or one clear error."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from by_cp.control_plane import ControlPlane
from by_cp.errors import InvalidInput, ServerUnreachable, ServerUnsupported, UnknownExecution
from by_cp.replies import text_of
from by_cp.urls import without_password
from tests.manager.providers import Starting
from tests.manager.running import running
from tests.waiting import until


async def test_all_parts_work_together(url: str) -> None:
    """A message, a wake, a worker and a reply, with nothing but the one object."""
    async with ControlPlane.connect(url) as plane:
        assert plane.url == url

        async def echo(command: Mapping[str, Any]) -> str:
            return str(command["body"]["content"])

        async def answered() -> bool:
            return len(await plane.replies("session-1")) == 2

        provider = Starting(plane.store)
        async with running(plane.manager(provider).run(), plane.worker("other", echo).run()):
            sent = await plane.client.send_message(
                "echo", "session-1", "hello", route_policy="WAKE_AND_WAIT"
            )
            assert sent.success
            async with running(plane.worker("echo", echo).run()):
                await until(answered)
        names = [entry.event.name for entry in await plane.history(sent.execution_id)]
        assert names[-1] == "Delivered"
        assert [text_of(reply) for reply in await plane.replies("session-1")] == ["hello", ""]
        with pytest.raises(UnknownExecution):
            await plane.history("exec-none")


async def test_parts_take_their_settings(url: str) -> None:
    """Controller, gate and worker are made with what is passed on to them."""
    async with ControlPlane.connect(url) as plane:
        assert plane.controller(Starting(plane.store), consumer="c").consumer == "c"
        assert await plane.gate(by="g").run_once() == 0
        assert plane.worker("a", print, worker_id="w").worker_id == "w"


async def test_more_callers_than_connections(url: str) -> None:
    """Hundreds of callers at once share the connections."""
    async with ControlPlane.connect(url) as plane:
        sends = (plane.client.send_message("a", f"s{n}", "hi") for n in range(300))
        assert {sent.error_code for sent in await asyncio.gather(*sends)} == {
            "AGENT_TYPE_UNAVAILABLE"
        }


async def test_embedded_keeps_its_data_in_a_directory(tmp_path: Path) -> None:
    """What was sent in one life of the server has its history in the next."""
    async with ControlPlane.embedded(tmp_path) as plane:
        sent = await plane.client.send_message("a", "s", "hi", route_policy="QUEUE_ONLY")
    async with ControlPlane.embedded(tmp_path) as plane:
        assert len(await plane.history(sent.execution_id)) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "localhost:6379",
        "http://localhost",
        "redis://localhost:abc",
        "redis://localhost:0",
        "redis://localhost:99999",
        "redis://localhost/abc",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?no_such_setting=1",
        "redis://[::1",
    ],
)
async def test_a_bad_url_is_refused(url: str) -> None:
    """The error shows the URL and what one looks like."""
    with pytest.raises(InvalidInput, match="is no URL of a server, such as redis://") as refusal:
        async with ControlPlane.connect(url):
            pass
    assert repr(url) in str(refusal.value)


@pytest.mark.parametrize("url", ["redis://user:s3cret@localhost:1/0", "unix:///no/such.sock"])
async def test_a_server_that_is_not_there(url: str) -> None:
    """The error names the URL, without its password."""
    with pytest.raises(ServerUnreachable, match="no server answers at ") as refusal:
        async with ControlPlane.connect(url):
            pass
    assert without_password(url) in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


async def test_a_server_that_is_none() -> None:
    """Something else that listens there is told apart from a server."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServerUnreachable, match=f"redis://127.0.0.1:{port}"):
            async with ControlPlane.connect(f"redis://127.0.0.1:{port}"):
                pass


async def test_a_server_that_forbids_functions(url: str, server_url: str) -> None:
    """A user without leave to load and call functions is told so at the start."""
    async with ControlPlane.connect(url) as plane:
        name = "by-cp-test-weak"
        await plane.redis.acl_setuser(
            name, enabled=True, nopass=True, keys=["*"], commands=["+@all", "-@scripting"]
        )
        try:
            weak = f"{server_url}{'&' if '?' in server_url else '?'}username={name}&password=x"
            with pytest.raises(ServerUnsupported, match="forbids what by-cp needs"):
                async with ControlPlane.connect(weak):
                    pass
        finally:
            await plane.redis.acl_deluser(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:p@h", "redis://:***@h"),
        ("rediss://u:p%40@h:1/2?x=y", "rediss://u:***@h:1/2?x=y"),
        ("unix://u:p@/s.sock?db=1", "unix://u:***@/s.sock?db=1"),
        ("redis://h?password=p&db=1", "redis://h?password=***&db=1"),
        ("redis://:p@[::1", "***@[::1"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    """Wherever the password stands in a URL, it is hidden, and all else is kept."""
    assert without_password(url) == shown
