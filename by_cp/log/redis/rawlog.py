"""The log of a server below its events: read, measured, trimmed, and put back.

What must not be trimmed is judged here, because what a head still needs of the log is the affair of
those who keep heads: this package's Lua.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from redis import Redis
from redis.backoff import EqualJitterBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from by_cp.keys import RedisKeys
from by_cp.log.rawlog import Bounds, Hold, Page, following
from by_cp.log.redis.reader import LogReader, connection_pool
from by_cp.statemachine.position import Position, split
from by_cp.statemachine.states import State

RETRIES = 3
BATCH = 1_000
"""Commands in one pipeline."""


class RedisRawLog(LogReader):
    """The log of one server. It ends its connections with `close`, or at the end of a context."""

    def __init__(self, url: str, *, key: str | None = None) -> None:
        super().__init__(url, key=key)
        self._url = url
        pool = connection_pool(url, retry=Retry(EqualJitterBackoff(cap=1, base=0.05), RETRIES))
        self._client = Redis(connection_pool=pool)
        # For what must not be sent again when the connection broke and nobody knows how far it got.
        self._once = Redis(connection_pool=connection_pool(url))

    def close(self) -> None:
        """Close the connections."""
        self._client.connection_pool.disconnect()
        self._once.connection_pool.disconnect()

    def __enter__(self) -> Self:
        """Enter a context that closes the connection at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the client library's errors into by-cp's."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise self._error(error) from error

    def bounds(self) -> Bounds | None:
        """Return what the log spans; None when there is none."""
        with self._errors():
            try:
                info: Any = self._client.xinfo_stream(self.key)
            except ResponseError as error:
                if "no such key" in str(error):
                    return None
                raise
        first = info["first-entry"]
        return Bounds(
            first[0].decode() if first else "",
            info["last-generated-id"].decode(),
            info["length"],
            info["entries-added"],
        )

    def entry(self, position: Position) -> bytes | None:
        """Return one entry; None when it is not there."""
        with self._errors():
            found: Any = self._client.xrange(self.key, position, position)
        return found[0][1][b"e"] if found else None

    def now_ms(self) -> int:
        """Return the time on the server's clock, in ms since 1970."""
        with self._errors():
            seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    # --- what must stay ---------------------------------------------------------------------------

    def consumers(self) -> list[Hold]:
        """Return, for each consumer group of the log, the first entry that it still needs."""
        holds = []
        with self._errors():
            if not self._client.exists(self.key):
                return []
            groups: Any = self._client.xinfo_groups(self.key)
            for group in groups:
                name = group["name"]
                needed = following(group["last-delivered-id"].decode())
                if group["pending"]:
                    unacknowledged: Any = self._client.xpending(self.key, name)
                    needed = min(needed, unacknowledged["min"].decode(), key=split)
                holds.append(Hold(needed, f"the consumer group {name.decode()!r} is not further"))
        return holds

    def heads_needing(self, execution_ids: Sequence[str]) -> dict[str, str]:
        """Return those executions whose head still needs the log's entries, and why.

        A head says where in the log its execution's history is, so what it names stays for as long
        as there is a head: until the execution is settled, and its retention over. Only a dead
        letter, which may lie for ever, does not hold the log back, if its head has all that is
        needed to redrive it; its history is then in the archive.
        """
        needing = {}
        for begin in range(0, len(execution_ids), BATCH):
            batch = execution_ids[begin : begin + BATCH]
            with self._errors():
                if not self._client.exists(*map(RedisKeys.head, batch)):  # most are long forgotten
                    continue
                pipeline = self._client.pipeline(transaction=False)
                for execution_id in batch:
                    pipeline.hmget(RedisKeys.head(execution_id), "s", "b")
                replies = pipeline.execute()
            for execution_id, (state, body) in zip(batch, replies, strict=True):
                if state is None or (state == State.DEADLETTER.encode() and body is not None):
                    continue
                needing[execution_id] = f"{execution_id} is {state.decode()}, and has a head"
        return needing

    # --- changes ----------------------------------------------------------------------------------

    def trim(self, before: Position) -> int:
        """Remove all entries before a position, and return how many those were."""
        with self._errors():
            removed: Any = self._client.xtrim(self.key, minid=before, approximate=False)
        return int(removed)

    def staging(self) -> RedisRawLog:
        """Return the log in the making, which a restore fills and `adopt` makes the log."""
        return RedisRawLog(self._url, key=RedisKeys.log_restoring())

    def put(self, page: Page) -> None:
        """Append entries at the positions that they have.

        Raises:
            ServerError: one of them is not behind all that is there.

        """
        pipeline = self._once.pipeline(transaction=False)
        for position, data in page:
            pipeline.execute_command("XADD", self.key, position, "e", data)
        with self._errors():
            pipeline.execute()

    def adopt(self, staging: RedisRawLog, added: int) -> bool:
        """Make a log in the making the log; False if there is one.

        Args:
            staging: the log in the making.
            added: how many entries it shall have had.

        """
        with self._errors():
            bounds = staging.bounds()
            if bounds is None:
                return False
            self._client.execute_command(
                *("XSETID", staging.key, bounds.last, "ENTRIESADDED", added),
                *("MAXDELETEDID", "0-0"),
            )
            return bool(self._once.renamenx(staging.key, self.key))
