"""From what a person typed to the histories that are meant."""

from __future__ import annotations

from by_cp.errors import ByCpError, UnknownExecution
from by_cp.names import check_name
from by_cp.replay.sources import Entry, Source
from by_cp.statemachine.events import ExecutionEvent

NAMED_MAX = 5
"""So many candidates are named when an id's beginning is not unique."""


class AmbiguousExecution(ByCpError):
    """Several executions begin with what was typed. Type more of it."""

    def __init__(self, text: str, execution_ids: list[str]) -> None:
        named = ", ".join(execution_ids[:NAMED_MAX])
        more = len(execution_ids) - NAMED_MAX
        super().__init__(
            f"{len(execution_ids)} executions begin with {text!r}: {named}"
            + (f" and {more} more" if more > 0 else "")
            + "; type more of it"
        )


def find(source: Source, text: str) -> list[list[Entry]]:
    """Return the events of each execution that a text means, the oldest execution first.

    It is an execution's id, or so much of its beginning that it is the only one, or the id of its
    message, session or trace; of a session's there may be several.

    Raises:
        InvalidName: that can be no id.
        UnknownExecution: nothing is known by it.
        AmbiguousExecution: several executions begin so.

    """
    check_name("execution_id", text)
    if known := source.history(text):
        return [known]
    begin = {
        event.execution_id: position
        for position, event in source.requests(text)
        if isinstance(event, ExecutionEvent)
    }
    if text in begin:  # settled so long ago that its head is gone
        return [source.events_of(text, begin[text])]
    alike = [execution_id for execution_id in begin if execution_id.startswith(text)]
    if len(alike) > 1:
        raise AmbiguousExecution(text, alike)
    if not begin:
        raise UnknownExecution(text)
    return [source.events_of(execution_id, position) for execution_id, position in begin.items()]
