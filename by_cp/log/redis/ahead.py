"""Commands that are sent before the reply to the last one was read: the server works meanwhile."""

from __future__ import annotations

from typing import Any

from redis import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class ReplyLost(Exception):
    """The connection broke before the reply came; nobody knows whether the server did it."""


class Ahead:
    """A connection of one's own, on which replies come in the order of what was sent.

    Args:
        pool: makes the connection, and nothing else: it gives out only so many in its life.

    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._breaks = 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def send(self, *command: Any) -> int:
        """Send a command, and return the ticket for its reply. A broken connection is made anew."""
        ticket = self._breaks
        try:
            self._connection.send_command(*command)
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._break()
        return ticket

    def receive(self, ticket: int) -> Any:
        """Return the next reply, of bytes.

        Raises:
            ReplyLost: the connection broke since it was sent.
            ResponseError: the server refused it; the replies to the others come all the same.

        """
        if ticket != self._breaks:
            raise ReplyLost
        try:
            return self._connection.read_response(disable_decoding=True)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            self._break()
            raise ReplyLost from error

    def _break(self) -> None:
        self._connection.disconnect()
        self._breaks += 1
