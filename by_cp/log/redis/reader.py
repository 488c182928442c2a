"""The log read page by page, as fast as its parts allow, over a connection of its own.

redis-py makes the connection (URL, TLS, login, database), hiredis parses the reply; what redis-py
makes of a reply afterwards, entry by entry, is left out. The next page is asked for before the last
is handed out, so that the server works while the caller does. See `benchmarks/reading.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from by_cp.errors import CorruptEvent, ServerError, ServerUnreachable
from by_cp.keys import RedisKeys
from by_cp.log.rawlog import PAGE, LogTrimmed, Page
from by_cp.log.redis.calls import server_error
from by_cp.statemachine.position import BEGINNING, Position
from by_cp.urls import check_url, invalid_url, without_password

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface as Connection

SOCKET_TIMEOUT_S = 30.0
"""A page of a busy server may take its time; a server that is gone is noticed all the same."""
CONNECT_TIMEOUT_S = 5.0
READ_BYTES = 1 << 18

PAGE_BYTES = 16 * 1024 * 1024
"""About so large a page may be, in memory here and in the server's output buffer."""
FIRST_PAGE = 1_000
"""Entries of the first page, at most: how large entries are is known only after it."""
SAMPLE_EVERY = 64

PAUSES_S = (0.05, 0.2, 1.0)
"""How long to pause before a page is asked for again when the connection broke."""

_FIELD = b"e"
"""The one field of an entry."""


def connection_pool(url: str, *, retry: Retry | None = None) -> ConnectionPool:
    """Return a pool for a server, of bytes, none of whose connections is made yet.

    Args:
        url: the server's.
        retry: what its connections do when they break; by default nothing.

    Raises:
        InvalidInput: the URL is none.

    """
    try:
        check_url(url)
        pool = ConnectionPool.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_read_size=READ_BYTES,
            retry=retry or Retry(NoBackoff(), 0),
        )
        # Whatever the URL says. RESP3 greets with a command that ACLs may forbid.
        pool.connection_kwargs.update(decode_responses=False, protocol=2)
        pool.make_connection()  # with the URL's own settings, which are checked only now
    except (ValueError, TypeError, AttributeError) as error:
        raise invalid_url(url, error) from error
    return pool


class LogReader:
    """Reads the log of one server.

    Each iteration has a connection of its own, which it closes when it ends.

    Args:
        url: `redis://user:password@host:port/db`, `rediss://…` with TLS, or `unix:///path`.
        key: the stream's, if it is not the log's usual one.

    """

    def __init__(self, url: str, *, key: str | None = None) -> None:
        self.key = RedisKeys.log() if key is None else key
        self._shown = without_password(url)
        self._pool = connection_pool(url)

    def pages(
        self, after: Position = BEGINNING, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the entries after a position, up to and with `until`, or else to the end.

        Without `until` it ends when it has caught up with those who append. A page is about
        `PAGE_BYTES` large at most; one at which small entries turn into large ones may be larger.

        Raises:
            LogTrimmed: what was to be read next was trimmed meanwhile.
            CorruptEvent: an entry was not written by by-cp.
            ServerError: the server is away, or refuses.

        """
        start = "-" if after == BEGINNING else f"({after}"
        return self._pages(_Cursor(self.key, start, until or "+", count))

    def continued(
        self, after: Position, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the pages after an entry, but only if that entry is still there.

        Raises:
            LogTrimmed: it is not.
            CorruptEvent: an entry was not written by by-cp.
            ServerError: the server is away, or refuses.

        """
        return self._pages(_Cursor(self.key, after, until or "+", count, anchor=after))

    def _pages(self, cursor: _Cursor) -> Iterator[Page]:
        # Not one of the pool's, which gives out only so many in its life, closed or not.
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            asked = False
            while not cursor.done:
                entries = cursor.advance(self._receive(connection, cursor, asked=asked))
                asked = not cursor.done
                if asked:  # the server reads the next page while the caller works on this one
                    self._ask(connection, cursor)
                if entries:
                    yield _page(entries)
        finally:
            connection.disconnect()

    def _receive(self, connection: Connection, cursor: _Cursor, *, asked: bool) -> list[Any]:
        for pause_s in (*PAUSES_S, None):
            try:
                if not asked:
                    connection.send_command(*cursor.command(), check_health=False)
                return connection.read_response(disable_decoding=True)  # type: ignore[no-any-return]
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                connection.disconnect()
                asked = False
                if pause_s is None or isinstance(error, AuthenticationError):
                    raise self._error(error) from error
                time.sleep(pause_s)
            except RedisError as error:
                raise self._error(error) from error
        raise AssertionError("the last pause is None")

    def _error(self, error: Exception) -> ServerError:
        """Return by-cp's error for one of the client library's; it says which server."""
        if isinstance(error, AuthenticationError):
            return ServerUnreachable(f"the server at {self._shown} refuses the login: {error}")
        if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
            return ServerUnreachable(f"no server answers at {self._shown}: {error}")
        return server_error(error)

    def _ask(self, connection: Connection, cursor: _Cursor) -> None:
        try:
            connection.send_command(*cursor.command(), check_health=False)
        except (RedisError, OSError):
            connection.disconnect()  # `_receive` finds it broken, and asks again


class _Cursor:
    """Where an iteration stands, and how much it asks for next."""

    def __init__(
        self, key: str, start: str, until: Position, count: int, anchor: Position | None = None
    ) -> None:
        self.done = False
        self._key = key
        self._start: str | bytes = start
        self._until = until
        self._count = count
        self._limit = min(count, FIRST_PAGE)
        # The entry with which the reply must begin: the last one that was handed out.
        self._anchor = anchor.encode() if anchor is not None else None
        self._skip = 0

    def command(self) -> tuple[str | bytes | int, ...]:
        """Return the command that reads the next page."""
        self._skip = 1 if self._anchor is not None else 0
        asked = self._limit + self._skip
        return ("XRANGE", self._key, self._start, self._until, "COUNT", asked)

    def advance(self, reply: list[Any]) -> list[Any]:
        """Note what came, and return it without what had come before."""
        if self._anchor is not None and (not reply or reply[0][0] != self._anchor):
            raise LogTrimmed(self._anchor.decode())
        news = reply[1:] if self._skip else reply
        self.done = len(news) < self._limit
        if news:
            self._start = self._anchor = news[-1][0]
            self._limit = self._limit_after(news)
        return news

    def _limit_after(self, news: list[Any]) -> int:
        sample = news[::SAMPLE_EVERY]
        entry_bytes = sum(len(fields[-1]) for _, fields in sample) // len(sample) + 1
        return max(1, min(self._count, PAGE_BYTES // entry_bytes))


def _page(entries: list[Any]) -> Page:
    try:
        page = [(entry_id.decode(), data) for entry_id, (name, data) in entries if name == _FIELD]
    except ValueError:  # more fields than one
        page = []
    if len(page) != len(entries):
        for entry_id, fields in entries:
            if len(fields) != 2 or fields[0] != _FIELD:  # noqa: PLR2004 - a name and a value
                raise CorruptEvent(
                    f"the entry {entry_id.decode()} of the log was not written by by-cp: "
                    f"its fields are {fields[::2]!r}; XDEL it, or find out who writes there"
                )
    return page
