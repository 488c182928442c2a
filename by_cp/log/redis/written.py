"""What foreign clients write into by-cp's streams, told apart from what by-cp itself has there.

A client that queues a command asks for a wake first, and then writes the command to hold. So
whoever has read a command, and after it the wakeup stream to its end, has read its request, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from by_cp.keys import RedisKeys
from by_cp.log.contract import PENDING, WAKEUP, Written
from by_cp.log.redis import streams
from by_cp.log.redis.calls import server_errors

if TYPE_CHECKING:
    from redis.asyncio import Redis

STREAMS = {
    WAKEUP: RedisKeys.control_plane_wakeup_stream(),
    PENDING: RedisKeys.control_plane_delivery_pending_stream(),
}
_NAMES = {key: name for name, key in STREAMS.items()}

_OURS = {WAKEUP: b"epoch", PENDING: b"by"}
"""The field that every entry of by-cp's own has, and no other."""

PAGE = 200


class WrittenReader:
    """Reads on from where it was, from the beginning at first. What it reads stays there."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._after = dict.fromkeys(STREAMS.values(), "0-0")

    async def read(self, block_ms: int) -> list[Written]:
        """Wait up to `block_ms` for something new; requests for wakes come first."""
        block_ms = streams.block_ms_within(self._client, block_ms)
        found = await self._page(self._after, block_ms)
        wakeup, pending = STREAMS[WAKEUP], STREAMS[PENDING]
        if any(entry.stream == pending for entry in found):
            while rest := await self._page({wakeup: self._after[wakeup]}, 0):
                found += rest
        found.sort(key=lambda entry: entry.stream == pending)
        return [
            Written(name, entry.entry_id, entry.fields.get(b"data", b""))
            for entry in found
            if _OURS[name := _NAMES[entry.stream]] not in entry.fields
        ]

    async def _page(self, after: dict[str, str], block_ms: int) -> list[streams.StreamEntry]:
        with server_errors():
            found = await streams.read(self._client, after, PAGE, block_ms)
        for entry in found:
            self._after[entry.stream] = entry.entry_id
        return found
