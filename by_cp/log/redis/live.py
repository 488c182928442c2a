"""A server's live rows, as `by_cp.log.live` wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
from redis import Redis
from redis.backoff import EqualJitterBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from by_cp.keys import RedisKeys, wake_group
from by_cp.log.commands import Member
from by_cp.log.live import EXECUTION_FIELDS, Expected, Hash, Head, Heads, Names, Stray
from by_cp.log.redis import library
from by_cp.log.redis.ahead import Ahead, ReplyLost
from by_cp.log.redis.calls import server_error
from by_cp.log.redis.layout import keys_of_inspected, keys_of_installed
from by_cp.log.redis.rawlog import RETRIES
from by_cp.log.redis.reader import connection_pool
from by_cp.projections.rows import PendingRow
from by_cp.statemachine.position import Position

SCAN_COUNT = 1_000
_PREFIX = {
    "circuits": RedisKeys.view_circuit(""),
    "quotas": RedisKeys.view_quota(""),
    "availability": RedisKeys.control_plane_agent_availability(""),
    "fallbacks": RedisKeys.view_fallback(""),
    "wakes": RedisKeys.wake(""),
}
_INDEXES = (RedisKeys.pending_index(""), RedisKeys.leases(""), RedisKeys.wake_members(""))
_PACK = msgspec.msgpack.Encoder()
_CHANGED = 4
"""Place of `progressed` in a tally, tag first."""


class RedisLive:
    """The live rows of one server. Not for several threads at once."""

    def __init__(self, url: str) -> None:
        pool = connection_pool(url, retry=Retry(EqualJitterBackoff(cap=1, base=0.05), RETRIES))
        self._client = Redis(connection_pool=pool)

    def close(self) -> None:
        """Close the connection."""
        self._client.connection_pool.disconnect()

    def now_ms(self) -> int:
        """Return the time on the server's clock, in ms since 1970."""
        with _errors():
            seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    # --- looking ----------------------------------------------------------------------------------

    def names(self) -> Names:
        """Return which rows there are."""
        found = Names(set(), set(), {RedisKeys.deadlines(), RedisKeys.delayed()})
        head, cursor = RedisKeys.head(""), 0
        while True:
            with _errors():
                cursor, keys = self._client.execute_command(
                    *("SCAN", cursor, "MATCH", RedisKeys.log()[: -len("log")] + "*"),
                    *("COUNT", SCAN_COUNT),
                )
            for key in map(_text, keys):
                if key.startswith(head):
                    found.executions.add(key[len(head) :])
                else:
                    _sort_in(found, key)
            if int(cursor) == 0:
                return found

    def heads(self, batches: Iterable[Sequence[str]]) -> Iterator[Heads]:
        """Give heads, a batch at a time; the server looks for the next while the caller works."""
        with closing(Ahead(self._client.connection_pool)) as ahead:
            coming: list[tuple[int, Sequence[str]]] = []
            for batch in batches:
                ticket = ahead.send(*_called("inspect_heads", _keys_of_heads(batch)))
                coming.append((ticket, batch))
                if len(coming) > 1:
                    yield self._heads(ahead, *coming.pop(0))
            for ticket, batch in coming:
                yield self._heads(ahead, ticket, batch)

    def _heads(self, ahead: Ahead, ticket: int, batch: Sequence[str]) -> Heads:
        try:
            last, *lines = ahead.receive(ticket)
        except (ReplyLost, ResponseError):
            last, *lines = self._call("inspect_heads", _keys_of_heads(batch))
        return Heads(batch, last.decode(), lines)

    def executions(self, asked: Sequence[Expected]) -> tuple[Position, list[Hash]]:
        """Return the log's last position, and of each execution all that is found of it."""
        members = [(one.call.agent_type, _member(one)) for one in asked]
        arguments = [
            text for one in asked for text in (one.execution_id, one.index_entry, one.member_entry)
        ]
        last, *found = self._call("inspect", keys_of_inspected("inspect", members), *arguments)
        return last.decode(), [
            dict(zip(EXECUTION_FIELDS, map(_text, values), strict=True)) for values in found
        ]

    def rows(self, asked: Sequence[tuple[str, str]]) -> tuple[Position, list[Hash], Hash]:
        """Return the log's last position, the rows, and how many are held by agent type."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.execute_command("XREVRANGE", RedisKeys.log(), "+", "-", "COUNT", 1)
        pipeline.execute_command("HGETALL", RedisKeys.pending_depth())
        for view, key in asked:
            pipeline.execute_command("HGETALL", _PREFIX[view] + key)
        with _errors():
            last, depth, *found = pipeline.execute()
        return _position(last), [_hash(one) for one in found], _hash(depth)

    def entries(self, key: str) -> list[Stray]:
        """Return what is in an index."""
        found: set[str] = set()
        cursor = 0
        while True:
            with _errors():
                cursor, flat = self._client.execute_command(
                    "ZSCAN", key, cursor, "COUNT", SCAN_COUNT
                )
            names = [item[0] for item in flat] if flat and isinstance(flat[0], tuple) else flat[::2]
            found.update(map(_text, names))
            if int(cursor) == 0:
                return [Stray(key, entry, _execution_of(key, entry)) for entry in sorted(found)]

    def expected_entries(
        self, asked: Expected, held: PendingRow | None, *, charged: bool
    ) -> set[Stray]:
        """Return the entries of indexes that an execution may have."""
        one, call = asked.execution_id, asked.call
        found = set()
        if held is not None:
            found.add(Stray(RedisKeys.pending_index(call.agent_type), asked.index_entry, one))
            if held.due_ms:
                found.add(Stray(RedisKeys.deadlines(), one, one))
            if held.not_before_ms:
                found.add(Stray(RedisKeys.delayed(), one, one))
        if charged:
            found.add(Stray(RedisKeys.leases(call.user_code), one, one))
        if asked.member_entry:
            group = wake_group(call.agent_type, call.user_code, call.region)
            found.add(Stray(RedisKeys.wake_members(group), asked.member_entry, one))
        return found

    def present(self, asked: Sequence[Stray]) -> tuple[Position, list[tuple[bool, Position]]]:
        """Return the log's last position, whether each is there, and its head's position."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.execute_command("XREVRANGE", RedisKeys.log(), "+", "-", "COUNT", 1)
        for stray in asked:
            pipeline.execute_command("ZSCORE", stray.key, stray.entry)
            pipeline.execute_command("HGET", RedisKeys.head(stray.execution_id), "p")
        with _errors():
            last, *found = pipeline.execute()
        pairs = zip(found[::2], found[1::2], strict=True)
        return _position(last), [
            (score is not None, _text(positions or b"").rpartition(",")[2])
            for score, positions in pairs
        ]

    # --- putting back -----------------------------------------------------------------------------

    def install(self, heads: Sequence[Head]) -> list[bool]:
        """Put heads back, with all that belongs to them."""
        pipeline = self._client.pipeline(transaction=False)
        for head in heads:
            pipeline.execute_command(*_called("install", *_installing(head)))
        with _errors():
            replies = pipeline.execute()
        return [_changed(reply) for reply in replies]

    def install_row(self, view: str, key: str, compared: Hash, fields: Hash) -> bool:
        """Put a row back, or with no fields take it away."""
        keys = [RedisKeys.log(), _PREFIX[view] + key]
        arguments = (*_flat(compared), *_flat(fields))
        return _changed(self._call("install_row", keys, str(len(compared)), *arguments))

    def install_depth(self, agent_type: str, change: int) -> None:
        """Correct how many are held for an agent type."""
        keys = [RedisKeys.log(), RedisKeys.pending_depth()]
        self._call("install_depth", keys, agent_type, str(change))

    def discard(self, stray: Stray, compared: Position) -> bool:
        """Take an entry out of an index."""
        keys = [RedisKeys.log(), stray.key, RedisKeys.head(stray.execution_id)]
        return _changed(self._call("discard", keys, stray.execution_id, compared, stray.entry))

    def _call(self, command: str, keys: list[str], *arguments: str | bytes) -> Any:
        def call() -> Any:
            return self._client.execute_command(*_called(command, keys, *arguments))

        with _errors():
            try:
                return call()
            except ResponseError as error:
                if "function not found" not in str(error).lower():
                    raise
            try:
                self._client.execute_command("FUNCTION", "LOAD", library.source())
            except ResponseError as error:
                if "already exists" not in str(error):
                    raise
            return call()


def _keys_of_heads(execution_ids: Sequence[str]) -> list[str]:
    return [RedisKeys.log(), *map(RedisKeys.head, execution_ids)]


def _called(command: str, keys: list[str], *arguments: str | bytes) -> tuple[Any, ...]:
    call = ("FCALL", library.function_name(), len(keys), *keys)
    return (*call, command, "", "", 0, *arguments)


def _installing(head: Head) -> tuple[Any, ...]:
    member = Member(head.execution_id, head.call.user_code, head.call.region)
    fields: dict[str, str | bytes] = {}
    if head.fields:
        fields = {**head.fields, "x": head.receipt, "w": head.outcome}
        fields["b"] = _PACK.encode(head.call)
    keep = str(head.keep_until_ms) if head.keep_until_ms else ""
    return (
        keys_of_installed(head.call.agent_type, member),
        *(head.execution_id, head.compared, keep, head.command, head.reason, head.lease),
        *_flat({name: value for name, value in fields.items() if value}),
    )


def _flat(fields: Mapping[str, str | bytes]) -> list[str | bytes]:
    return [part for pair in fields.items() for part in pair]


def _changed(reply: bytes) -> bool:
    return bool(msgspec.msgpack.decode(reply)[_CHANGED])


def _sort_in(names: Names, key: str) -> None:
    for view, prefix in _PREFIX.items():
        if key.startswith(prefix):
            names.rows.add((view, key[len(prefix) :]))
            return
    if key.startswith(_INDEXES):
        names.indexes.add(key)


def _execution_of(key: str, entry: str) -> str:
    """Return whose entry it is: `id`, `position/id`, or `rank/position/id`."""
    parts = {RedisKeys.pending_index(""): 2, RedisKeys.wake_members(""): 1}
    before = next((n for prefix, n in parts.items() if key.startswith(prefix)), 0)
    return entry.split("/", before)[-1]


def _member(asked: Expected) -> Member:
    return Member(asked.execution_id, asked.call.user_code, asked.call.region)


def _position(reply: Any) -> Position:
    return _text(reply[0][0]) if reply else ""


def _hash(reply: Any) -> Hash:
    flat = [part for pair in reply.items() for part in pair] if isinstance(reply, dict) else reply
    return dict(zip(map(_text, flat[::2]), map(_text, flat[1::2]), strict=True))


def _text(data: bytes) -> str:
    """Whatever someone wrote there by hand can be shown, if not always read."""
    return data.decode(errors="backslashreplace")


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the client library's errors into by-cp's."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise server_error(error) from error
