"""A blocking connection: to whatever a URL may name, and what it says when that is not there."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from redis.asyncio import Redis

from by_cp.errors import InvalidInput, ServerError, ServerUnreachable
from by_cp.log.redis.blocking import Blocking


def with_part(url: str, login: str = "", query: str = "") -> str:
    """Return a URL with a login, or with one setting more."""
    parts = urlsplit(url)
    joined = "&".join(filter(None, (parts.query, query)))
    return f"{parts.scheme}://{login}{parts.netloc}{parts.path}" + (f"?{joined}" if joined else "")


@pytest.mark.parametrize("query", ["", "protocol=3"], ids=["by itself", "through redis-py"])
async def test_replies_come_in_order_and_as_bytes(redis: Redis, url: str, query: str) -> None:
    """Many commands in one go; a setting of redis-py's own is left to redis-py."""
    await redis.xadd("s", {"e": b"\xff"}, id="1-1")
    with Blocking(with_part(url, query=query)) as connection:
        replies = connection.ask(
            ("SET", "k", b"\x00\xff"), ("GET", "k"), ("GET", "none"), ("XRANGE", "s", "-", "+")
        )
    assert replies[:3] == [b"OK", b"\x00\xff", None]
    assert [(key, list(fields)) for key, fields in replies[3]] == [(b"1-1", [b"e", b"\xff"])]


async def test_a_large_reply_comes_whole(redis: Redis, url: str) -> None:
    """It takes many reads of the socket."""
    await redis.set("k", b"x" * 3_000_000)
    with Blocking(url) as connection:
        assert connection.ask(("GET", "k")) == [b"x" * 3_000_000]


@pytest.mark.parametrize("query", ["", "protocol=3"], ids=["by itself", "through redis-py"])
async def test_a_refusal_is_an_error(redis: Redis, url: str, query: str) -> None:
    """A command that the server does not know, or not so."""
    await redis.set("k", "text")
    with (
        Blocking(with_part(url, query=query)) as connection,
        pytest.raises(ServerError, match="refused"),
    ):
        connection.ask(("HGET", "k", "f"))


@pytest.mark.parametrize("query", ["", "protocol=3"], ids=["by itself", "through redis-py"])
async def test_a_login_is_made_or_refused(redis: Redis, url: str, query: str) -> None:
    """User and password may be quoted; a wrong one is said without saying it."""
    user, password = "by:replay", "p@ss/word"
    await redis.execute_command("ACL", "SETUSER", user, "on", f">{password}", "~*", "+@all")
    try:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        with Blocking(with_part(url, login, query)) as connection:
            assert connection.ask(("ACL", "WHOAMI")) == [user.encode()]
        with pytest.raises(ServerUnreachable, match="refuses the login") as raised:
            Blocking(with_part(url, f"{quote(user, safe='')}:wr0ng@", query))
        assert "wr0ng" not in str(raised.value)
    finally:
        await redis.execute_command("ACL", "DELUSER", user)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://localhost",
        "redis://localhost:1/x",
        "redis://localhost:0",
        "redis://localhost:x",
        "redis://localhost?what=3",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """It is the caller's mistake, and named as such."""
    with pytest.raises(InvalidInput, match="no URL of a server"):
        Blocking(url)


@pytest.mark.parametrize(
    "url",
    ["redis://:s3cret@localhost:1", "redis://localhost:1?protocol=3", "unix:///no/where.sock"],
)
def test_nobody_there_is_said(url: str) -> None:
    """Without the password."""
    with pytest.raises(ServerUnreachable, match="no server answers at") as raised:
        Blocking(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("query", ["", "protocol=3"], ids=["by itself", "through redis-py"])
async def test_a_connection_that_ends_is_said(redis: Redis, url: str, query: str) -> None:
    """The server ended it: that is an error, not a wait for ever."""
    with Blocking(with_part(url, query=query)) as connection:
        [client_id] = connection.ask(("CLIENT", "ID"))
        await redis.execute_command("CLIENT", "KILL", "ID", client_id)
        with pytest.raises(ServerUnreachable):
            connection.ask(("PING",))
