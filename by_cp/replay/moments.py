"""An execution and the views around it, as they stood at a moment. Pure.

The views are folded from the log up to there. Around an execution are the rows about it, its agent
type, its tenant and its wake group: whichever views there are, the first field of a row says what
it is about. What is held for the same agent type is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from typing import Any

from msgspec import Struct, structs

from by_cp.errors import InvalidInput
from by_cp.projections import pending
from by_cp.projections.folding import fold
from by_cp.projections.rows import NO_LIMIT, CircuitRow, ExecutionRow, QuotaRow, WakeRow
from by_cp.projections.views import Views
from by_cp.replay.durations import iso, lasting, moment
from by_cp.replay.fields import plain
from by_cp.replay.words import COMMAND, field_in_words, group_of
from by_cp.statemachine.events import Call, Event
from by_cp.statemachine.position import Position, time_ms

SEQUENCE_MAX = 2**64 - 1
"""The last sequence number of a millisecond."""


class Around(Struct, frozen=True):
    """What stood around an execution."""

    position: Position
    """Of the last entry that was folded."""
    call: Call
    """What the execution asks for."""
    views: dict[str, list[Any]]
    """View -> its rows about the execution, its agent type, its tenant and its wake group."""
    waiting: int
    """How many executions, this one included, waited for its wake."""
    leader: str
    """Whose wake that was; "" if it waited for none."""
    held: int
    """How many commands were held for the agent type."""
    place: int
    """Which of them is this one, in the order of release; 0 if it is none."""

    @property
    def time(self) -> str:
        """When that was."""
        return iso(time_ms(self.position))

    def as_json(self, *, payload: bool = False) -> dict[str, Any]:
        """Return it as an object for JSON."""
        hidden = frozenset() if payload else COMMAND
        rows = {
            view: [
                {name: value for name, value in plain(row).items() if name not in hidden}
                for row in found
            ]
            for view, found in self.views.items()
        }
        return {
            "position": self.position,
            "time": self.time,
            "held_for_agent_type": self.held,
            "place": self.place,
            "waiting_for_wake": self.waiting,
            "wake_leader": self.leader,
            "views": rows,
        }


def until(text: str, begun_ms: int) -> Position:
    """Return the last position that belongs to a moment, as a person writes it.

    It is a position (`1700000000000-0`), a time in UTC (`2023-11-14T22:13:20.5`, or with its zone),
    or only a clock time (`22:13:20.5`), on the day on which the execution began.

    Raises:
        InvalidInput: it is none of these.

    """
    if re.fullmatch(r"\d+-\d+", text):
        return text
    try:
        if re.match(r"\d\d:\d\d", text):
            day = moment(begun_ms).date()
            when = datetime.combine(day, time.fromisoformat(text), UTC)
        else:
            when = datetime.fromisoformat(text)
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no moment: give a position (1700000000000-0), a time in UTC "
            "(2023-11-14T22:13:20.5) or a clock time of the day on which it began (22:13:20.5)"
        ) from error
    return f"{int(when.timestamp() * 1000)}-{SEQUENCE_MAX}"


def recall(views: Views, entries: Iterable[tuple[Position, Event]], execution_id: str) -> None:
    """Put an execution's head back into views that have forgotten it, because it is over.

    All that is in a head is in the execution's own events.

    Args:
        views: of a snapshot; changed.
        entries: the execution's own, up to the snapshot's position.
        execution_id: whose they are.

    """
    head = fold(entries).executions.get(execution_id)
    if head is not None:
        views.executions.setdefault(execution_id, head)


def around(
    pages: Iterable[list[tuple[Position, Event]]],
    execution_id: str,
    call: Call,
    views: Views | None = None,
    position: Position = "",
) -> Around:
    """Fold a log, and return what stands around an execution at its end.

    Args:
        pages: the log, or what follows the views that are given.
        execution_id: the execution.
        call: what it asks for.
        views: of what was before, the execution's head included; changed.
        position: how far those go.

    Raises:
        InvalidInput: the log is empty.
        TransitionError: the log breaks the state machine's law.

    """
    views = Views() if views is None else views
    last = position
    for page in pages:
        fold(page, views, keep={execution_id})
        last = page[-1][0] if page else last
    if not last:
        raise InvalidInput("at that moment the log was empty")
    in_order = pending.in_order(views, call.agent_type)
    places = [row.execution_id for row in in_order]
    head = views.executions.get(execution_id)
    members = [row for row in views.wake_members.values() if head and row.epoch == head.epoch]
    return Around(
        position=last,
        call=call,
        views={view: rows for view, rows in _rows(views, execution_id, call) if rows},
        waiting=len(members),
        leader=next((row.execution_id for row in members if row.position == row.epoch), ""),
        held=len(places),
        place=places.index(execution_id) + 1 if execution_id in places else 0,
    )


def _rows(views: Views, execution_id: str, call: Call) -> Iterator[tuple[str, list[Any]]]:
    about = {
        "execution_id": execution_id,
        "agent_type": call.agent_type,
        "user_code": call.user_code,
        "group": (call.agent_type, call.user_code, call.region),
    }
    for view in Views.__struct_fields__:
        rows: dict[Any, Any] = getattr(views, view)
        kind = _key_field(rows)
        row = rows.get(about[kind]) if kind in about else None
        yield view, [] if row is None else [row]


def _key_field(rows: dict[Any, Any]) -> str:
    first = next(iter(rows.values()), None)
    return str(first.__struct_fields__[0]) if first is not None else ""


def told(stood: Around) -> Iterator[tuple[str, str]]:
    """Yield what stood around an execution in words: what it is, and how it stood."""
    call = stood.call
    rows = dict(stood.views)
    executions: list[ExecutionRow] = rows.pop("executions", [])
    yield "execution", _execution(executions[0]) if executions else "not begun yet"
    nth = f"; this one is number {stood.place} in order" if stood.place else ""
    rows.pop("pending", None)
    rows.pop("wake_members", None)
    wakes: list[WakeRow] = rows.pop("wakes", [])
    if stood.waiting:
        yield "wake", _joined(f"{stood.waiting:,} wait for it", *map(_wake, wakes))
    yield "pending", f"{stood.held:,} held for {call.agent_type!r}{nth}"
    circuits = rows.pop("circuits", None) or [CircuitRow(call.agent_type)]
    yield "circuit", f"{call.agent_type!r} is {_circuit(circuits[0])}"
    if call.user_code:
        quotas = rows.pop("quotas", None) or [QuotaRow(call.user_code)]
        yield "quota", f"{call.user_code!r} has {_quota(quotas[0], time_ms(stood.position))}"
    for view, found in rows.items():
        for row in found:
            yield view.replace("_", " "), _fields(row)


def _execution(row: ExecutionRow) -> str:
    return _joined(
        f"{row.state}, version {row.version}",
        f"held since {row.held_at}" if row.held_at else "",
        f"waits for the wake {row.epoch} of {group_of(row.call)}" if row.epoch else "",
    )


def _wake(row: WakeRow) -> str:
    return _joined(
        f"led by {row.leader}",
        f"attempt {row.attempt}, epoch {row.epoch}" if row.attempt else "no attempt yet",
        f"the claim holds until {iso(row.until_ms)}",
    )


def _circuit(row: CircuitRow) -> str:
    by_hand = " (set by hand)" if row.forced else ""
    return _joined(
        f"{row.state}{by_hand}",
        f"until {iso(row.until_ms)}" if row.until_ms and row.state == "OPEN" else "",
        f"{row.failures} failed in a row" if row.failures else "",
        f"{len(row.permits)} probe it" if row.permits else "",
        row.reason,
    )


def _quota(row: QuotaRow, now_ms: int) -> str:
    limit = "no limit" if row.limit == NO_LIMIT else f"of {row.limit}"
    each = f"{row.rate_count} calls each {lasting(row.rate_period_ms)}" if row.rate_count else ""
    depth = "" if row.depth_max == NO_LIMIT else f"{row.depth_max} may be held"
    return _joined(f"{row.used(now_ms)} in flight, {limit}", each, depth)


def _joined(*phrases: str) -> str:
    return "; ".join(filter(None, phrases))


def _fields(row: Struct) -> str:
    """Tell a row by its fields, but for the first, which says what it is about."""
    fields = list(structs.asdict(row).items())[1:]
    return _joined(*(field_in_words(name, value) for name, value in fields if name != "position"))
