"""Taking over what a consumer of a stream took and did not finish before it died.

Whether it died is seen by its lease, not by how long an entry is in its hands: a wake may take
minutes, and a handler hours. The server looks at the lease and hands over in one call, so two who
take over at once never get the same entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from by_cp.errors import ServerError
from by_cp.log.commands import new_call_id
from by_cp.log.redis import layout
from by_cp.log.redis.calls import Caller
from by_cp.log.redis.streams import StreamEntry, unfinished


async def holders(caller: Caller, stream: str, group: str, but: str = "") -> list[str]:
    """Return the consumers of a group, but one, that hold unfinished entries."""
    try:
        reply = await caller.command("XPENDING", stream, group)
    except ServerError as error:
        if "NOGROUP" in str(error):  # nobody has taken anything yet
            return []
        raise
    return [name for name in unfinished(reply) if name != but]


async def take_over(
    caller: Caller, stream: str, group: str, gone: str, taker: str, lease: str, count: int
) -> list[StreamEntry]:
    """Take up to `count` entries from a consumer, if its lease has lapsed; else none."""
    call_id = new_call_id()
    reply = await caller.call(
        layout.keys_of_stream(stream, call_id, lease),
        ("take_over", "", call_id, 0, group, gone, taker, count),
    )
    return list(_entries(stream, reply))


def _entries(stream: str, reply: bytes) -> Iterator[StreamEntry]:
    texts = iter(netstrings(reply))
    for entry_id in texts:
        parts = [next(texts) for _ in range(int(next(texts)))]
        yield StreamEntry(
            stream, entry_id.decode(), dict(zip(parts[::2], parts[1::2], strict=True))
        )


def netstrings(data: bytes) -> Iterator[bytes]:
    """Give the netstrings, <https://cr.yp.to/proto/netstrings.txt>, that stand in a row."""
    at = 0
    while at < len(data):
        colon = data.index(b":", at)
        end = colon + 1 + int(data[at:colon])
        yield data[colon + 1 : end]
        at = end + 1
