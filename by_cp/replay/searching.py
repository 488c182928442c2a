"""Finding executions in a whole log, by whatever name a person has.

A search looks at the bytes of an entry before it decodes it. A name stands in msgpack's text as it
is, so an entry without its bytes is none that is sought, and a search is about as fast as reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from by_cp.ids import earliest_time_of
from by_cp.log.rawlog import Pages, decoded, preceding
from by_cp.statemachine.events import Event, ExecutionEvent, Requested
from by_cp.statemachine.position import BEGINNING, Position

SKEW_MS = 3_600_000
"""How far a client's clock, of which an execution_id has its time, may be ahead of the server's."""

_REQUESTED = b"Requested/"
Entry = tuple[Position, Event]

_TAG_BYTES = 16
"""Within so many bytes an entry says what kind of event it is."""


def events_of(log: Pages, execution_id: str, since: Position) -> list[Entry]:
    """Return an execution's events from the position of the first of them on, in order."""
    return list(
        _sought(
            log, execution_id, lambda event: event.execution_id == execution_id, preceding(since)
        )
    )


def requests(log: Pages, text: str) -> list[Entry]:
    """Return the Requested events of the executions that a text may mean, in order.

    It is the beginning of their id, or the id of their message, session or trace. Of an id that has
    a time in it the log is searched from there on; if nothing is found so, it was made on a clock
    that is far off, or is somebody's own id, which only looks as if it had a time.
    """
    time_ms = earliest_time_of(text)
    after = f"{max(time_ms - SKEW_MS, 0)}-0" if time_ms else BEGINNING
    found = list(_sought(log, text, lambda event: is_meant(event, text), after, _REQUESTED))
    if not found and after != BEGINNING:
        found = list(_sought(log, text, lambda event: is_meant(event, text), BEGINNING, _REQUESTED))
    return found


def is_meant(event: Event, text: str) -> bool:
    """Tell whether a text means the execution that begins with this event."""
    if not isinstance(event, Requested):
        return False
    call = event.call
    ids = (call.message_id, call.session_id, call.trace_id)
    return text in ids or event.execution_id.startswith(text)


def _sought(
    log: Pages,
    text: str,
    is_sought: Callable[[ExecutionEvent], bool],
    after: Position,
    tag: bytes = b"",
) -> Iterator[Entry]:
    needle = text.encode()
    for page in log.pages(after):
        candidates = [
            (position, data)
            for position, data in page
            if needle in data and tag in data[:_TAG_BYTES]
        ]
        for position, event in next(iter(decoded([candidates]))):
            if isinstance(event, ExecutionEvent) and is_sought(event):
                yield position, event
