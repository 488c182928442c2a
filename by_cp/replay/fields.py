"""An event's fields as JSON, with their names, and back.

In the log the order of the fields is the schema, and their names are nowhere. A file that people
read has the names; and the tag, so that a later release knows in which schema it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct, structs

from by_cp.errors import CorruptEvent
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import (
    EVENTS,
    Event,
    ExecutionEvent,
    SystemEvent,
    tag_of,
)
from by_cp.statemachine.upcast import UPCASTERS

COMMON = frozenset((*ExecutionEvent.__struct_fields__, *SystemEvent.__struct_fields__))
"""What every event has, or every event of an execution: it has a place of its own in a file."""

_ENCODE = msgspec.json.Encoder().encode
_PACK = msgspec.msgpack.Encoder().encode
_TYPES: dict[str, type[Event]] = {tag_of(kind): kind for kind in (*EVENTS, *UPCASTERS)}


def detail_of(event: Event) -> bytes:
    """Return an event's own fields as the JSON text of an object."""
    return _ENCODE(_NAMED[type(event)](event))


def event_of(tag: str, fields: Mapping[str, Any]) -> Event:
    """Return the event that has these fields, `COMMON` included; those that came later may lack.

    Raises:
        CorruptEvent: there is no such event.

    """
    kind = _TYPES.get(tag)
    if kind is None:
        raise CorruptEvent(f"this by-cp does not know events of kind {tag!r}: upgrade it")
    return CODEC.decode(_PACK([tag, *_values(kind, fields)]))


def _values(kind: type[Struct], fields: Mapping[str, Any]) -> list[Any]:
    nested = _nested(kind)
    values: list[Any] = []
    for name in kind.__struct_fields__:
        if name not in fields:
            break  # the schema only ever grows at its end
        value = fields[name]
        values.append(_values(nested[name], value) if name in nested else value)
    return values


@cache
def _nested(kind: type[Struct]) -> dict[str, type[Struct]]:
    """Return the fields that are Structs themselves."""
    hints = get_type_hints(kind)
    return {
        name: hints[name]
        for name in kind.__struct_fields__
        if isinstance(hints[name], type) and issubclass(hints[name], Struct)
    }


def _with_names(kind: type[Struct], hidden: frozenset[str]) -> Callable[[Any], Any]:
    """Return what turns a Struct without names into one with names.

    Several times as fast as a dictionary of each.
    """
    names = [name for name in kind.__struct_fields__ if name not in hidden]
    if not names:
        return lambda _: {}
    named = msgspec.defstruct(kind.__name__, names)
    inner = {
        names.index(name): _with_names(of, frozenset())
        for name, of in _nested(kind).items()
        if name not in hidden
    }
    if len(names) == 1:
        return lambda value: named(getattr(value, names[0]))
    values_of = attrgetter(*names)
    if not inner:
        return lambda value: named(*values_of(value))

    def make(value: Any) -> Any:
        values = list(values_of(value))
        for index, turn in inner.items():
            values[index] = turn(values[index])
        return named(*values)

    return make


_NAMED = {kind: _with_names(kind, COMMON) for kind in EVENTS}


def plain(struct: Struct) -> dict[str, Any]:
    """Return a Struct as a dictionary of JSON's own values, nested ones with their names, too."""
    return {
        name: plain(value) if isinstance(value, Struct) else msgspec.to_builtins(value)
        for name, value in structs.asdict(struct).items()
    }
