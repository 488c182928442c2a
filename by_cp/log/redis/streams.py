"""Reading streams, whatever protocol version and decoding the client was made with.

A blocking read must end before the client's own socket timeout (redis-py 8 has one of 5 s by
default, and then sends the read again, ten times): long waits are made of short ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.client import NEVER_DECODE

if TYPE_CHECKING:
    from redis.asyncio import Redis

RAW: dict[str, Any] = {NEVER_DECODE: True}


class StreamEntry(NamedTuple):
    """One entry as it stands in a stream."""

    stream: str
    entry_id: str
    fields: dict[bytes, bytes]


def block_ms_within(client: Redis, wanted_ms: int) -> int:
    """Return for how long a read may block at a time: half the socket timeout at most."""
    timeout_s = client.connection_pool.connection_kwargs.get("socket_timeout")
    if not timeout_s:
        return wanted_ms
    return max(1, min(wanted_ms, int(timeout_s * 500)))


async def read(
    client: Redis, after: Mapping[str, str], count: int, block_ms: int
) -> list[StreamEntry]:
    """Read entries after the given ids, waiting up to `block_ms` (0: not at all)."""
    block = ("BLOCK", block_ms) if block_ms > 0 else ()
    reply = await client.execute_command(
        "XREAD", "COUNT", count, *block, "STREAMS", *after.keys(), *after.values(), **RAW
    )
    return list(_entries(reply))


async def read_group(
    client: Redis, group: str, consumer: str, streams: Iterable[str], count: int, block_ms: int
) -> list[StreamEntry]:
    """Take entries that no consumer of the group was given yet."""
    keys = tuple(streams)
    block = ("BLOCK", block_ms) if block_ms > 0 else ()
    reply = await client.execute_command(
        *("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *block),
        *("STREAMS", *keys, *(">" for _ in keys)),
        **RAW,
    )
    return list(_entries(reply))


def _entries(reply: Any) -> Iterable[StreamEntry]:
    """Flatten what redis-py makes of a read: a list or, with RESP3, a dict of lists."""
    if not reply:
        return
    pairs = reply.items() if isinstance(reply, dict) else reply
    for stream, entries in pairs:
        yield from entries_of(stream.decode(), _flat(entries))


def entries_of(stream: str, entries: Any) -> Iterable[StreamEntry]:
    """Give the entries of one stream."""
    for entry_id, fields in entries:
        if fields is not None:  # None: deleted after it was given to this consumer
            yield StreamEntry(stream, entry_id.decode(), _fields(fields))


def _flat(entries: Any) -> Any:
    """With RESP3 some releases of redis-py nest the entries once more."""
    if len(entries) == 1 and entries[0] and isinstance(entries[0][0], (list, tuple)):
        return entries[0]
    return entries


def _fields(fields: Any) -> dict[bytes, bytes]:
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))


def unfinished(reply: Any) -> dict[str, int]:
    """Return, from an XPENDING summary, how many entries each consumer holds.

    redis-py makes a dict of dicts of it, or leaves the server's list of lists.
    """
    consumers = reply["consumers"] if isinstance(reply, dict) else reply[3]
    found: dict[str, int] = {}
    for consumer in consumers or ():
        pair = (consumer["name"], consumer["pending"]) if isinstance(consumer, dict) else consumer
        found[_text(pair[0])] = int(pair[1])
    return found


def named_groups(reply: Any) -> dict[str, dict[str, Any]]:
    """Return, from an XINFO GROUPS, the facts of each group by its name."""
    found: dict[str, dict[str, Any]] = {}
    for group in reply:
        pairs = (
            group.items() if isinstance(group, dict) else zip(group[::2], group[1::2], strict=True)
        )
        facts = {_text(name): value for name, value in pairs}
        found[_text(facts["name"])] = facts
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
