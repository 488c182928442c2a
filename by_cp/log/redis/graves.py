"""What could not be delivered, and what could not be read: dead letters and quarantine."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from by_cp import logs
from by_cp.keys import RedisKeys
from by_cp.log.commands import new_call_id
from by_cp.log.contract import DeadLetter, Quarantined
from by_cp.log.redis import layout
from by_cp.log.redis.calls import Caller
from by_cp.log.redis.encoding import decode_recorded
from by_cp.log.redis.streams import StreamEntry, entries_of
from by_cp.statemachine.position import BEGINNING

QUARANTINE_LENGTH_MAX = 10_000
"""So many entries are kept, about; the oldest go first."""

_FROM, _REASON = b"by-cp:from", b"by-cp:reason"
_EMPTY = b"{}"

log = logs.named("by_cp.log")


class _Document(msgspec.Struct):
    """What a listing needs of a dead letter's document."""

    execution_id: str
    target_agent_type: str = ""
    user_code: str = ""
    region: str = ""
    reason: str = ""
    command_payload: msgspec.Raw = msgspec.Raw(_EMPTY)


_DOCUMENT = msgspec.json.Decoder(_Document)


async def dead_letters(caller: Caller, after: str, count: int) -> list[DeadLetter]:
    """Return buried commands after an entry; what someone else put there and is none is left out.

    by-framework buries decisions without a command: they are listed, too.
    """
    stream = RedisKeys.control_plane_deadletter_stream()
    found: list[DeadLetter] = []
    while len(found) < count:
        entries = await _page(caller, stream, after, count)
        if not entries:
            break
        after = entries[-1].entry_id
        for entry in entries:
            try:
                document = _DOCUMENT.decode(entry.fields.get(b"data", b""))
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.warning("no_dead_letter", entry_id=entry.entry_id)
                continue
            found.append(_dead_letter(entry.entry_id, document))
    return found[:count]


def _dead_letter(entry_id: str, document: _Document) -> DeadLetter:
    payload = bytes(document.command_payload)
    return DeadLetter(
        entry_id,
        document.execution_id,
        document.target_agent_type,
        document.user_code,
        document.region,
        document.reason,
        0 if payload == _EMPTY else len(payload),
    )


async def set_aside(caller: Caller, entry: StreamEntry, reason: str) -> bool:
    """Move an entry into quarantine, if it is still in its stream; all else there goes on."""
    fields = {**entry.fields, _FROM: entry.stream.encode(), _REASON: reason.encode()}
    call_id = new_call_id()
    keys = layout.keys_of_stream(entry.stream, call_id, RedisKeys.quarantine())
    values = (part for pair in fields.items() for part in pair)
    reply = await caller.call(
        keys, ("set_aside", "", call_id, 0, entry.entry_id, QUARANTINE_LENGTH_MAX, *values)
    )
    moved = bool(decode_recorded(reply).position)
    if moved:
        log.warning("set_aside", stream=entry.stream, entry_id=entry.entry_id, reason=reason)
    return moved


async def quarantine(caller: Caller, entry: StreamEntry, group: str, reason: str) -> None:
    """Set an entry aside that a consumer of a group was given."""
    await set_aside(caller, entry, reason)
    await caller.command("XACK", entry.stream, group, entry.entry_id)


async def quarantined(caller: Caller, after: str, count: int) -> list[Quarantined]:
    """Return what was set aside."""
    return [
        Quarantined(
            entry.entry_id,
            entry.fields.get(_FROM, b"").decode(),
            entry.fields.get(_REASON, b"").decode(),
            entry.fields.get(b"data", b"").decode(errors="replace"),
        )
        for entry in await _page(caller, RedisKeys.quarantine(), after, count)
    ]


async def requite(
    caller: Caller, entry: Quarantined, how: Literal["drop", "reinject"], data: str = ""
) -> bool:
    """Put an entry back where it stood, or remove it; False if it was gone."""
    call_id = new_call_id()
    keys = layout.keys_of_stream(entry.stream, call_id, RedisKeys.quarantine())
    reply = await caller.call(keys, ("requite", "", call_id, 0, entry.entry_id, how, data))
    return bool(decode_recorded(reply).position)


async def _page(caller: Caller, stream: str, after: str, count: int) -> list[StreamEntry]:
    start = "-" if after == BEGINNING else f"({after}"
    reply: Any = await caller.command("XRANGE", stream, start, "+", "COUNT", count)
    return list(entries_of(stream, reply))
