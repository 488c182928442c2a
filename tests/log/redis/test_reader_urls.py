"""The fast reader finds its server however its URL is written: redis-py makes the connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from redis import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.errors import ServerUnreachable
from by_cp.log.rawlog import Page
from by_cp.log.redis.reader import LogReader
from tests.rawlogs import all_of, append

PASSWORD = "p@ss word"  # noqa: S105 - of a server that lives for one test
LOGIN = "reader:p%40ss%20word"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedServer, int, Page]]:
    """A server with a port, which lets in `reader` only, and the log of its database 3."""
    async with await EmbeddedServer.start(tmp_path / "server") as started:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        with Redis.from_url(started.url, db=3) as client:
            entries = append(client, 30)
            client.config_set("port", port)
            client.acl_setuser(
                "reader",
                enabled=True,
                passwords=[f"+{PASSWORD}"],
                keys=["*"],
                commands=["+xrange", "+select"],
            )
            client.acl_setuser("default", enabled=False)
        yield started, port, entries


@asynccontextmanager
async def in_tls(port: int, directory: Path) -> AsyncIterator[tuple[int, Path]]:
    """Listen with TLS and pass on to a port: give where, and the authority to be trusted."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async with await asyncio.start_server(serve, "localhost", 0, ssl=context) as proxy:
        yield proxy.sockets[0].getsockname()[1], directory / "ca.pem"


async def test_a_socket_a_port_and_tls_lead_to_the_same_log(
    server: tuple[EmbeddedServer, int, Page], tmp_path: Path
) -> None:
    """User, password and database are the URL's, whatever its scheme."""
    started, port, entries = server
    async with in_tls(port, tmp_path) as (tls_port, authority):
        for url in (
            started.url.replace("unix://", f"unix://{LOGIN}@") + "?db=3",
            f"redis://{LOGIN}@localhost:{port}/3",
            f"rediss://{LOGIN}@localhost:{tls_port}/3?ssl_ca_certs={authority}",
        ):
            assert await asyncio.to_thread(all_of, LogReader(url), count=7) == entries
        elsewhere = LogReader(f"redis://{LOGIN}@localhost:{port}/2")
        assert await asyncio.to_thread(all_of, elsewhere) == []


async def test_who_is_not_let_in_is_told_so(server: tuple[EmbeddedServer, int, Page]) -> None:
    """At once, and without the password that was wrong."""
    _, port, _ = server
    with pytest.raises(ServerUnreachable, match="refuses the login") as raised:
        await asyncio.to_thread(all_of, LogReader(f"redis://reader:wr0ng@localhost:{port}/3"))
    assert "wr0ng" not in str(raised.value)
