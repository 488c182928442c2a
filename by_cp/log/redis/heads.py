"""Histories by their heads, and what comes next, for a program that blocks.

Nothing here reads the log from one end to the other: that is `reader.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from by_cp.keys import RedisKeys
from by_cp.log.redis.blocking import Blocking
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import Position

PAGE = 1_000
FOLLOW_MS = 2_000
"""How long the server holds a read of what comes next; well within the connection's patience."""

Entries = list[tuple[Position, Event]]


class Heads:
    """What the heads on a server lead to.

    Raises:
        InvalidInput: the URL is none.
        ServerUnreachable: nobody answers there, or the login is refused.

    """

    def __init__(self, url: str) -> None:
        self._connection = Blocking(url)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def history(self, execution_id: str) -> tuple[Entries, list[Position]] | None:
        """Return an execution's events, and the positions of those that the log no longer has.

        None is: there is no head, because it has expired, or never was.

        Raises:
            ServerError: the server is away, or refuses.
            CorruptEvent: an entry is no event of a known schema.

        """
        [positions] = self._connection.ask(("HGET", RedisKeys.head(execution_id), "p"))
        if positions is None:
            return None
        places = positions.decode().split(",")
        replies = self._connection.ask(*(("XRANGE", RedisKeys.log(), p, p) for p in places))
        entries = [_entry(reply[0]) for reply in replies if reply]
        return entries, [p for p, reply in zip(places, replies, strict=True) if not reply]

    def follow(self, after: Position) -> Iterator[Entries]:
        """Yield what is appended after a position, for ever; nothing, now and then, if nothing.

        Raises:
            ServerError: the server is away, or refuses.

        """
        log = RedisKeys.log()
        while True:
            command = ("XREAD", "COUNT", PAGE, "BLOCK", FOLLOW_MS, "STREAMS", log, after)
            [reply] = self._connection.ask(command)
            pairs = reply.items() if isinstance(reply, dict) else reply or ()
            page = [_entry(raw) for _, entries in pairs for raw in entries]
            after = page[-1][0] if page else after
            yield page


def _entry(raw: Any) -> tuple[Position, Event]:
    return raw[0].decode(), CODEC.decode(raw[1][1])
