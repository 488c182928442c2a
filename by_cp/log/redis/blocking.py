"""A blocking connection, for a program that asks a few questions and ends.

redis-py takes longer to import than `by-replay` may take to answer. So a plain URL, of TCP or of a
Unix socket, is spoken to here over hiredis; any other, one with TLS or settings of redis-py's own,
through redis-py's connection all the same.
"""

from __future__ import annotations

import socket
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import hiredis

from by_cp.errors import ServerError, ServerUnreachable
from by_cp.urls import check_url, invalid_url, without_password

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
RECEIVE_BYTES = 1 << 18
PORT_DEFAULT = 6379

Command = tuple[str | bytes | float, ...]


class Blocking:
    """A connection to a server, and how to ask it.

    Raises:
        InvalidInput: the URL is none.
        ServerUnreachable: nobody answers there, or the login is refused.

    """

    def __init__(self, url: str) -> None:
        self._shown = without_password(url)
        try:
            self._connection = _connection(url)
        except (ValueError, TypeError, AttributeError) as error:
            raise invalid_url(url, error) from error
        except hiredis.ReplyError as error:
            raise ServerUnreachable(
                f"the server at {self._shown} refuses the login: {error}"
            ) from error
        except OSError as error:
            raise self._away(error) from error

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def ask(self, *commands: Command) -> list[Any]:
        """Send commands in one go, and return their replies: bytes, ints, None and lists of them.

        Raises:
            ServerError: the server is away, or refuses one of them.

        """
        self.send(*commands)
        return [self.receive() for _ in commands]

    def send(self, *commands: Command) -> None:
        """Send commands; each one's reply must be received.

        Raises:
            ServerUnreachable: the server is away.

        """
        try:
            self._connection.send(commands)
        except OSError as error:
            raise self._away(error) from error

    def receive(self) -> Any:
        """Wait for the next reply.

        Raises:
            ServerError: the server is away, or refuses.

        """
        try:
            reply = self._connection.receive()
        except OSError as error:
            raise self._away(error) from error
        if isinstance(reply, Exception):
            raise ServerError(f"the server refused: {reply}") from reply
        return reply

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _away(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(f"no server answers at {self._shown}: {error}")


def _connection(url: str) -> _Plain | _RedisPy:
    check_url(url)
    parts = urlsplit(url)
    settings = dict(parse_qsl(parts.query))
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(f"the scheme must be redis, rediss or unix, not {parts.scheme!r}")
    if parts.scheme == "rediss" or settings.keys() - {"db"}:
        return _RedisPy(url)
    return _Plain(parts, settings.get("db"))


class _Plain:
    """A socket, and hiredis to read from it."""

    def __init__(self, parts: SplitResult, database: str | None) -> None:
        if parts.scheme == "redis":
            database = database or parts.path.strip("/")
        if database and not database.isdigit():
            raise ValueError(f"the database must be a number, not {database!r}")
        self._socket = _socket(parts)
        self._socket.settimeout(READ_TIMEOUT_S)
        self._reader = hiredis.Reader()
        try:
            self._greet(parts, database)
        except BaseException:
            self.close()
            raise

    def _greet(self, parts: SplitResult, database: str | None) -> None:
        greetings: list[Command] = [("PING",)]
        if parts.password is not None:
            user = (unquote(parts.username),) if parts.username else ()
            greetings.insert(0, ("AUTH", *user, unquote(parts.password)))
        if database and int(database):
            greetings.append(("SELECT", int(database)))
        self.send(tuple(greetings))
        replies = [self.receive() for _ in greetings]
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply

    def send(self, commands: tuple[Command, ...]) -> None:
        self._socket.sendall(b"".join(map(_packed, commands)))

    def receive(self) -> Any:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("it ended the connection")
            self._reader.feed(data)
        return reply

    def close(self) -> None:
        self._socket.close()


def _packed(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub says: of one
    return packed


def _socket(parts: SplitResult) -> socket.socket:
    if parts.scheme == "redis":
        address = (parts.hostname or "localhost", parts.port or PORT_DEFAULT)
        return socket.create_connection(address, CONNECT_TIMEOUT_S)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(CONNECT_TIMEOUT_S)
    try:
        made.connect(unquote(parts.path))
    except BaseException:
        made.close()
        raise
    return made


class _RedisPy:
    """redis-py's own connection; its errors as those of a socket."""

    def __init__(self, url: str) -> None:
        import redis

        self._client = redis.Redis.from_url(
            url, socket_timeout=READ_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S
        )
        self._refused = redis.exceptions.ResponseError
        self._away = redis.RedisError
        try:
            self._connection: Any = self._client.connection_pool.get_connection()
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise hiredis.ReplyError(str(error)) from error
        except redis.RedisError as error:
            raise ConnectionError(str(error)) from error

    def send(self, commands: tuple[Command, ...]) -> None:
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands))
        except self._away as error:
            raise ConnectionError(str(error)) from error

    def receive(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except self._refused as error:
            return error
        except self._away as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        self._client.close()
