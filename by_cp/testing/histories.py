"""Recorded histories as tests: what one release wrote, every later one must read in the same way.

Record a log, or a part of it that begins with its first entry, from where it really happened; keep
the file with your tests, and replay it in each run of them::

    record_history(await plane.store.read(), Path("tests/histories/black-friday.jsonl"))
    ...
    replay_history(Path("tests/histories/black-friday.jsonl"))

A line is an entry: its position, its bytes as they stood in the log (in hex), its tag and fields
for people, and the state in which it left its execution.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from by_cp.errors import CorruptEvent, DivergentHistory, InvalidInput
from by_cp.projections.folding import apply
from by_cp.projections.views import Views, initial
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Event, ExecutionEvent, tag_of
from by_cp.statemachine.position import BEGINNING, Position, split
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE, standing


class Line(Struct, omit_defaults=True):
    """One entry of a recording; a line that has other fields only, `about`, is a remark."""

    position: Position = ""
    tag: str = ""
    state: str = ""
    """Where the entry left its execution; "" if it is not recorded, or there is none."""
    fields: dict[str, Any] = {}
    hex: str = ""


_LINE = msgspec.json.Decoder(Line)


def record_history(entries: Iterable[tuple[Position, Event]], path: Path) -> int:
    """Write a log, from its first entry on, as a recording; return how many entries it has.

    Raises:
        FileExistsError: a recording is never overwritten: it is what a release once wrote.

    """
    count = 0
    states: dict[str, State | None] = {}
    with path.open("x", encoding="utf-8") as file:
        for position, event in entries:
            line = Line(position, tag_of(type(event)), hex=CODEC.encode(event).hex())
            line.fields = {
                name: msgspec.to_builtins(value) for name, value in structs.asdict(event).items()
            }
            if isinstance(event, ExecutionEvent):
                before = standing(states.get(event.execution_id), event)
                reached = TABLE.get((before, event.name))
                states[event.execution_id] = reached.dest if reached else None
                line.state = reached.dest if reached else ""
            file.write(json.dumps(msgspec.to_builtins(line), ensure_ascii=False) + "\n")
            count += 1
    return count


def replay_history(path: Path) -> Views:
    """Replay a recording, and return the views that it folds to.

    Raises:
        DivergentHistory: at the first entry that this release cannot decode, understands
            otherwise, or holds to be illegal; it names the position, both states and the rule.
        InvalidInput: the file is no recording.

    """
    views = initial()
    last = BEGINNING
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = _LINE.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"{path}, line {number}, is no entry: {error}") from error
        if line.position:
            _replay(views, line, last)
            last = line.position
    return views


def _replay(views: Views, line: Line, last: Position) -> None:
    if split(line.position) <= split(last):
        raise DivergentHistory(line.position, line.state, "", f"it does not follow {last}")
    try:
        event = CODEC.decode(bytes.fromhex(line.hex))
    except (CorruptEvent, ValueError) as error:
        raise DivergentHistory(line.position, line.state, "", str(error)) from error
    _same_meaning(line, event)
    if not isinstance(event, ExecutionEvent):
        apply(views, event, line.position)
        return
    head = views.executions.get(event.execution_id)
    before = standing(head.state, event) if head is not None else None
    version = head.version if head is not None and before is not None else 0
    if (before, event.name) not in TABLE:
        rule = f"{event.name} is not declared from {before or 'nothing'}"
        raise DivergentHistory(line.position, line.state, before or "", rule)
    if event.version != version + 1:
        rule = f"it is version {event.version}, and the one before is {version}"
        raise DivergentHistory(line.position, line.state, before or "", rule)
    apply(views, event, line.position)
    after = TABLE[before, event.name].dest
    if line.state and after != line.state:
        rule = f"{event.name} leads from {before or 'nothing'} to {after}"
        raise DivergentHistory(line.position, line.state, after, rule)


def _same_meaning(line: Line, event: Event) -> None:
    """Compare the fields by name: two texts that change places decode without complaint."""
    if line.tag != tag_of(type(event)):  # upcast: its upcaster's own test says how
        return
    now = {name: msgspec.to_builtins(value) for name, value in structs.asdict(event).items()}
    for name, then in line.fields.items():
        if not still_says(now.get(name), then):
            rule = f"its {name} was {then!r}, and is read as {now.get(name)!r}"
            raise DivergentHistory(line.position, line.state, "", rule)


def still_says(now: Any, then: Any) -> bool:
    """Tell whether a value has all that it had; what was added at the end since does not count."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(
            name in now and still_says(now[name], value) for name, value in then.items()
        )
    if isinstance(then, list):
        listed = isinstance(now, (list, tuple)) and len(now) >= len(then)
        return listed and all(map(still_says, now, then))
    return bool(now == then)
