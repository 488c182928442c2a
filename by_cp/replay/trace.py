"""The log as a trace that Chrome and Perfetto show: who waited when, and for how long.

In the Trace Event Format an agent type is a process. An execution is an asynchronous slice of it,
under its policy, with a slice in it for each state that lasted and a mark for each event. Counters
show how many commands are held for each agent type, and how many are in flight for each tenant.
The format knows microseconds: the sequence number within a millisecond stands for them, so that
events that one call appended do not all fall on one point.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from by_cp.errors import InvalidInput
from by_cp.projections.folding import apply
from by_cp.projections.rows import ExecutionRow
from by_cp.projections.views import Views
from by_cp.replay.history import SETTLED
from by_cp.replay.words import Context, own_fields, tell
from by_cp.statemachine.events import Event, ExecutionEvent
from by_cp.statemachine.position import BEGINNING, Position, split
from by_cp.statemachine.states import State

SEQUENCE_MAX = 999
SYSTEM = "system events"
TENANTS = "tenants"

_ENCODE = msgspec.json.Encoder().encode
Record = dict[str, Any]


class _Open(NamedTuple):
    """A state that lasts, and since when."""

    state: State
    since_us: int
    life: int
    """Number of the execution's life among all lives: Perfetto knows no other ids than numbers."""


class Trace:
    """A trace file. It is written anew each time: its slices must be closed where the log ends.

    Raises:
        InvalidInput: it cannot be written.

    """

    last_position = BEGINNING

    def __init__(self, path: Path) -> None:
        self._path = path
        self._views = Views()
        self._open: dict[str, _Open] = {}
        self._processes: dict[str, int] = {}
        self._held: dict[str, set[str]] = {}
        self._in_flight: dict[str, int] = {}
        self._lives = 0
        self._last_us = 0
        try:
            self._part = path.with_name(f".{path.name}.{os.getpid()}")
            self._file = self._part.open("wb")
            self._file.write(b'{"displayTimeUnit":"ms","traceEvents":[\n')
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error}") from error

    def add(self, entries: Sequence[tuple[Position, Event]]) -> None:
        """Add the entries that follow.

        Raises:
            InvalidInput: they cannot be written.
            TransitionError: the log breaks the state machine's law.

        """
        self._write(record for entry in entries for record in self._records(*entry))

    def finish(self) -> None:
        """Close what is open where the log ends, and the file's brackets.

        Raises:
            InvalidInput: it cannot be written.

        """
        heads = self._views.executions
        still_open = [(heads[execution_id], opened) for execution_id, opened in self._open.items()]
        self._write(record for one in still_open for record in self._closed(*one, self._last_us))
        end = {"ph": "M", "name": "trace_end", "pid": 0, "ts": self._last_us}
        self._bytes(_ENCODE(end) + b"\n]}\n")
        self._file.close()
        self._part.replace(self._path)

    def close(self) -> None:
        """Close the file; one that was not finished leaves nothing behind."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _write(self, records: Iterable[Record]) -> None:
        self._bytes(b"".join(_ENCODE(record) + b",\n" for record in records))

    def _bytes(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise InvalidInput(f"{self._path} cannot be written: {error}") from error

    def _records(self, position: Position, event: Event) -> Iterator[Record]:
        ms, sequence = split(position)
        at_us = ms * 1000 + min(sequence, SEQUENCE_MAX)
        self._last_us = max(self._last_us, at_us)
        apply(self._views, event, position)
        if isinstance(event, ExecutionEvent):
            yield from self._of_execution(position, event, at_us)
            return
        yield from self._process(SYSTEM)
        yield {
            "ph": "i",
            "s": "g",
            "name": event.name,
            "cat": "system",
            "pid": self._processes[SYSTEM],
            "tid": 0,
            "ts": at_us,
            "args": {"position": position, **own_fields(event)},
        }

    def _of_execution(
        self, position: Position, event: ExecutionEvent, at_us: int
    ) -> Iterator[Record]:
        head = self._views.executions[event.execution_id]
        yield from self._process(head.call.agent_type)
        opened = self._open.get(event.execution_id)
        if opened is None:
            self._lives += 1
            opened = self._opened(event, _Open(head.state, at_us, self._lives))
            yield self._slice("b", head, opened, head.call.policy, at_us, _asked(head))
        elif opened.state != head.state:
            yield from self._state(head, opened, at_us)
            opened = self._opened(event, opened._replace(state=head.state, since_us=at_us))
        told = tell(event, Context(split(position)[0], head.call))
        args = {"position": position, "did": "; ".join(told.did), "why": "; ".join(told.why)}
        yield self._slice("n", head, opened, event.name, at_us, args)
        yield from self._counters(head, at_us)
        if head.state in SETTLED:
            yield from self._closed(head, opened, at_us)
            del self._open[event.execution_id]
            if head.state == State.DELIVERED:
                del self._views.executions[event.execution_id]

    def _opened(self, event: ExecutionEvent, opened: _Open) -> _Open:
        self._open[event.execution_id] = opened
        return opened

    def _closed(self, head: ExecutionRow, opened: _Open, at_us: int) -> Iterator[Record]:
        yield from self._state(head, opened, at_us)
        yield self._slice("e", head, opened, head.call.policy, at_us, {"state": head.state})

    def _state(self, head: ExecutionRow, opened: _Open, at_us: int) -> Iterator[Record]:
        """Yield the slice of a state that ends now, if it lasted."""
        if at_us > opened.since_us:
            yield self._slice("b", head, opened, opened.state, opened.since_us)
            yield self._slice("e", head, opened, opened.state, at_us)

    def _slice(
        self,
        phase: str,
        head: ExecutionRow,
        opened: _Open,
        name: str,
        at_us: int,
        args: Record | None = None,
    ) -> Record:
        return {
            "ph": phase,
            "cat": "execution",
            "id2": {"local": hex(opened.life)},  # local: else Perfetto shows it in no process
            "name": name,
            "pid": self._processes[head.call.agent_type],
            "tid": 0,
            "ts": at_us,
            "args": args or {},
        }

    def _counters(self, head: ExecutionRow, at_us: int) -> Iterator[Record]:
        """Yield how many commands are held, and how many are in flight, where that changed."""
        agent_type, user_code = head.call.agent_type, head.call.user_code
        held = self._held.setdefault(agent_type, set())
        if bool(head.held_at) != (head.execution_id in held):
            held ^= {head.execution_id}
            yield self._counter(agent_type, "held", len(held), at_us)
        quota = self._views.quotas.get(user_code)
        if quota is not None and self._in_flight.get(user_code, 0) != quota.in_flight:
            self._in_flight[user_code] = quota.in_flight
            yield from self._process(TENANTS)
            yield self._counter(TENANTS, f"in flight: {user_code}", quota.in_flight, at_us)

    def _counter(self, process: str, name: str, count: int, at_us: int) -> Record:
        return {
            "ph": "C",
            "name": name,
            "pid": self._processes[process],
            "ts": at_us,
            "args": {"commands": count},
        }

    def _process(self, name: str) -> Iterator[Record]:
        if name not in self._processes:
            pid = self._processes[name] = len(self._processes) + 1
            yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}


def _asked(head: ExecutionRow) -> Record:
    call = head.call
    return {
        "execution_id": head.execution_id,
        "tenant": call.user_code,
        "region": call.region,
        "session_id": call.session_id,
        "message_id": call.message_id,
    }
