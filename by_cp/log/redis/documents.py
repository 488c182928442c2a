"""Circuits, quotas and fallbacks that someone else wrote at by-framework's keys."""

from __future__ import annotations

from by_cp.keys import PREFIX, RedisKeys
from by_cp.log.foreign import Foreign, understood
from by_cp.log.redis.calls import Caller

_PREFIXES = (
    ("circuit", RedisKeys.control_plane_agent_circuit("").encode()),
    ("quota", RedisKeys.control_plane_tenant_quota("").encode()),
    ("quota", RedisKeys.control_plane_user_quota("").encode()),
    ("fallback", RedisKeys.control_plane_agent_fallback("").encode()),
)
"""In the order in which admission looks at them."""

_PATTERN = PREFIX + "[cfq]*"
"""One scan for all four, and for little else."""

_PAGE = 1000


async def foreign(caller: Caller, name: str | None) -> Foreign:
    """Return what someone else wrote: all of it, or of one agent type and one tenant."""
    keys = await _keys(caller) if name is None else {p + name.encode() for _, p in _PREFIXES}
    wanted = [
        (kind, prefix, key)
        for kind, prefix in _PREFIXES
        for key in sorted(keys)
        if key.startswith(prefix)
    ]
    found = []
    for first in range(0, len(wanted), _PAGE):
        page = wanted[first : first + _PAGE]
        # MGET says nothing of a key that holds no string, as admission asks for it, too.
        texts = await caller.command("MGET", *(key for _, _, key in page))
        for (kind, prefix, key), text in zip(page, texts, strict=True):
            found.append((kind, _text(key[len(prefix) :]), None if text is None else _text(text)))
    return understood(found)


async def _keys(caller: Caller) -> set[bytes]:
    found: set[bytes] = set()
    cursor = 0
    while True:
        cursor, keys = await caller.command("SCAN", cursor, "MATCH", _PATTERN, "COUNT", _PAGE)
        found.update(keys)
        if int(cursor) == 0:
            return found


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
