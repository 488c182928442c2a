"""The server's function library: the Lua files, and the declarations they interpret, as data.

The library and its function carry a hash of the source in their name. So two releases of by-cp run
side by side on one server, each with its own, and a library never needs to be replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from by_cp.log import foreign
from by_cp.log.redis.layout import EXECUTION_KEYS, LAYOUT, MEMBER_KEYS, PREFIXES, SUFFIXES
from by_cp.projections.circuit import STRIKES_MAX
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.events import (
    EVENTS,
    Call,
    Event,
    Evidence,
    ExecutionEvent,
    Requested,
    SystemEvent,
    event_name,
    tag_of,
)
from by_cp.vocabulary import (
    ATTEMPT_MS_MIN,
    CIRCUIT_POLICY,
    ENDED_MS,
    FALLBACKS_MAX,
    OPEN_DOUBLINGS_MAX,
    RETRY_HINT_MS,
    ROUSE_GRACE_MS,
    SENTENCES,
    SESSION_TTL_MS,
    WAKING_POLICIES,
    WORKER_NAME_BYTES_MAX,
)

MODULES = (
    *(
        "clock",
        "log",
        "documents",
        "fairness",
        "workers",
        "answers",
        "effects",
        "breaker",
        "admission",
        "ending",
        "waking",
        "adopting",
        "settings",
        "commands",
        "inspection",
        "main",
    ),
)
"""The Lua files, in the order in which they are put together."""

RAW: tuple[type[Event], ...] = (Requested,)
"""Events whose own fields arrive encoded."""

Literal = str | int | bool | Mapping[str, "Literal"] | tuple["Literal", ...] | list["Literal"]


def lua_literal(value: Literal) -> str:
    """Write plain data as Lua. Strings must be printable ASCII: they are ours."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Mapping():
            return (
                "{"
                + ",".join(f"[{lua_literal(k)}]={lua_literal(v)}" for k, v in value.items())
                + "}"
            )
        case _:
            return "{" + ",".join(lua_literal(item) for item in value) + "}"


def _table() -> dict[str, Literal]:
    """Event -> state ("" is none yet) -> {dest, effects}."""
    table: dict[str, dict[str, Literal]] = {}
    for row in TRANSITIONS:
        source = row["source"].value if row["source"] is not None else ""
        effects: list[Literal] = [effect.value for effect in row.get("after", ())]
        table.setdefault(row["trigger"], {})[source] = (row["dest"].value, effects)
    return dict(table)


def _own_fields() -> dict[str, Literal]:
    """Event -> its fields after those that all events of its kind have."""
    common = set(ExecutionEvent.__struct_fields__) | set(SystemEvent.__struct_fields__)
    return {
        event_name(event): [name for name in event.__struct_fields__ if name not in common]
        for event in EVENTS
    }


def _encoders() -> list[str]:
    """Write, for each event, the function that encodes it: the schema, unrolled.

    An event of an execution begins with its id, its version and its cause; one of the system with
    its cause only. The fields of a RAW event arrive encoded: the client's own bytes go into the
    log as they are.
    """
    lines = []
    for event in EVENTS:
        common = (
            ["cause"] if issubclass(event, SystemEvent) else ["execution_id", "version", "cause"]
        )
        own = [name for name in event.__struct_fields__ if name not in common]
        header = 0x90 + 1 + len(common) + len(own)
        packed = [lua_literal(tag_of(event)), *common]
        raw = ""
        if event in RAW:
            raw = "".join(f" .. e.{name}" for name in own)
        else:
            packed += [f"e.{name}" for name in own]
        lines.append(
            f"ENCODE.{event_name(event)} = function({', '.join(common)}, e) "
            f'return "\\{header}" .. cmsgpack.pack({", ".join(packed)}){raw} end'
        )
    return lines


def _data() -> dict[str, Literal]:
    return {
        "TABLE": _table(),
        "FIELDS": _own_fields(),
        "RAW": {event_name(event): True for event in RAW},
        "CALL": {name: place for place, name in enumerate(Call.__struct_fields__, start=1)},
        # The Call's place in a Requested event as it stands in the log, tag first.
        "REQUESTED_CALL": 2 + Requested.__struct_fields__.index("call"),
        "EVIDENCE": {name: place for place, name in enumerate(Evidence.__struct_fields__, start=1)},
        "SENTENCE": dict(SENTENCES),
        "WAKING_POLICIES": dict.fromkeys(sorted(WAKING_POLICIES), True),
        "CIRCUIT_POLICY": dict(CIRCUIT_POLICY),
        "STRIKES_MAX": STRIKES_MAX,
        "OPEN_DOUBLINGS_MAX": OPEN_DOUBLINGS_MAX,
        "FALLBACKS_MAX": FALLBACKS_MAX,
        "RETRY_HINT_MS": RETRY_HINT_MS,
        "ATTEMPT_MS_MIN": ATTEMPT_MS_MIN,
        "ROUSE_GRACE_MS": ROUSE_GRACE_MS,
        "ENDED_MS": ENDED_MS,
        "PREFIX": dict(PREFIXES),
        "SUFFIX": dict(SUFFIXES),
        "LAYOUT": dict(LAYOUT),
        "EXECUTION_KEYS": EXECUTION_KEYS,
        "MEMBER_KEYS": dict(MEMBER_KEYS),
        "FALLBACK_FIELDS": foreign.FALLBACK_FIELDS,
        "OURS": foreign.OURS,
        "NAME_BYTES_MAX": WORKER_NAME_BYTES_MAX,
        "SESSION_TTL_MS": SESSION_TTL_MS,
    }


def _body() -> str:
    """Everything but the names that carry the hash.

    While a library loads, Lua's globals do not exist yet (`pairs`, `redis.call`, …): at the top
    there are only literals and functions.
    """
    lines = [f"local {name} = {lua_literal(value)}" for name, value in _data().items()]
    lines += ["local ENCODE = {}", *_encoders()]
    tables = ", ".join(MODULES[:-1])
    empty = ", ".join("{}" for _ in MODULES[:-1])
    lines.append(f"local {tables} = {empty}")
    sources = files("by_cp.log.redis").joinpath("lua")
    # Each file in a block of its own: Lua allows 200 locals in one.
    lines += [
        f"do\n{sources.joinpath(module + '.lua').read_text(encoding='utf-8')}end"
        for module in MODULES[:-1]
    ]
    lines.append(sources.joinpath("main.lua").read_text(encoding="utf-8"))
    return "\n".join(lines)


@cache
def function_name() -> str:
    """Return the name of the library, and of its one function."""
    return "by_cp_" + hashlib.sha256(_body().encode()).hexdigest()[:16]


@cache
def source() -> str:
    """Return the whole library, as FUNCTION LOAD takes it."""
    name = function_name()
    return f"#!lua name={name}\n{_body()}\nredis.register_function('{name}', call)\n"
