"""What `by-replay` does: finds the histories that are meant, and hands them to what shows them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from by_cp.errors import InvalidInput
from by_cp.replay.finding import find
from by_cp.replay.history import SETTLED, History, Telling, history
from by_cp.replay.opening import open_source
from by_cp.replay.sources import Entry, Source
from by_cp.statemachine.events import ExecutionEvent
from by_cp.statemachine.position import Position, split

if TYPE_CHECKING:
    from by_cp.replay.drift.checking import Start
    from by_cp.replay.moments import Around


class Asked(Struct, frozen=True):
    """What a person typed, and what it means."""

    text: str
    histories: list[History]
    entries: list[list[Entry]]
    """Of each of them, as they stand in the log."""

    @property
    def only(self) -> History:
        """The one history that is meant.

        Raises:
            InvalidInput: there are several.

        """
        if len(self.histories) > 1:
            raise InvalidInput(
                f"{self.text!r} means {len(self.histories)} executions; name one of them"
            )
        return self.histories[0]


def run(options: argparse.Namespace) -> bool:
    """Do what was asked for; return whether a history breaks the law.

    Raises:
        ByCpError: it cannot be done.

    """
    searching = Searching()
    source = open_source(options.url, options.path, options.archive, searching.advance)
    try:
        if options.follow:
            return _follow(source, options)
        texts = [*options.ids, *([options.diff] if options.diff else [])]
        asked = [_asked(source, text, options) for text in texts]
        stood: Around | None = None
        if options.at:
            asked, stood = _as_it_stood(source, asked[0], options)
    finally:
        source.close()
        searching.wipe()
    _show(asked, stood, options)
    return any(told.broken for one in asked for told in one.histories)


class Searching:
    """Says on a terminal how much of a log was read, and wipes it away."""

    def __init__(self) -> None:
        self._count = 0
        self._is_shown = False

    def advance(self, count: int) -> None:
        """Say that so many entries more were read."""
        self._count += count
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[Kreading the log: {self._count:,} events")
            sys.stderr.flush()
            self._is_shown = True

    def wipe(self) -> None:
        """Wipe away what was said."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _asked(source: Source, text: str, options: argparse.Namespace) -> Asked:
    found = find(source, text)
    told = [history(entries, payload=options.payload) for entries in found]
    return Asked(text, told, found)


def _as_it_stood(
    source: Source, asked: Asked, options: argparse.Namespace
) -> tuple[list[Asked], Around]:
    """Return a history up to a moment, and what stood around it."""
    from by_cp.replay import moments

    whole = asked.only
    if whole.call is None:
        raise InvalidInput(f"the log no longer has the beginning of {whole.execution_id!r}")
    until = moments.until(options.at, whole.rows[0].time_ms)
    rows = tuple(row for row in whole.rows if split(row.position) <= split(until))
    if not rows:
        raise InvalidInput(
            f"{whole.execution_id!r} began only at {whole.rows[0].position}, {whole.rows[0].time}"
        )
    start = _start(source, options.snapshots, until)
    if start.views is not None:
        own = [entry for entry in asked.entries[0] if split(entry[0]) <= split(start.position)]
        moments.recall(start.views, own, whole.execution_id)
    stood = moments.around(
        source.entries(start.position, until),
        *(whole.execution_id, whole.call, start.views),
        position="" if start.views is None else start.position,
    )
    told = History(whole.execution_id, rows, whole.call)
    return [Asked(asked.text, [told], asked.entries)], stood


def _start(source: Source, snapshots: str | None, until: Position) -> Start:
    """Return where a fold up to a position begins."""
    from pathlib import Path

    from by_cp.replay.drift.checking import Start
    from by_cp.replay.drift.starting import newest_at

    log = source.log() if snapshots else None
    if log is None:
        return Start()

    def complain(why: str) -> None:
        sys.stderr.write(f"by-replay: passed over: {why}\n")

    return newest_at(Path(str(snapshots)), log, until, complain)


def _show(asked: list[Asked], stood: Around | None, options: argparse.Namespace) -> None:
    histories = [told for one in asked for told in one.histories]
    if options.diff:
        _diff(asked[0].only, asked[1].only, as_json=options.json)
    elif options.json:
        rows = [row.as_json() for told in histories for row in told.rows]
        around = stood and stood.as_json(payload=options.payload)
        _json({"history": rows, "around": around} if around else rows)
    elif options.mermaid:
        from by_cp.replay.mermaid import diagrams

        sys.stdout.write(diagrams(histories, options.mermaid))
    elif options.html:
        from by_cp.replay.page import write_page

        write_page(histories, stood, options.html)
    else:
        _print(asked, stood)


def _print(asked: list[Asked], stood: Around | None) -> None:
    from by_cp.replay import printing
    from by_cp.replay.terminal import width_of_terminal, write

    width = width_of_terminal()
    for number, one in enumerate(asked):
        text, histories = one.text, one.histories
        if number:
            sys.stdout.write("\n")
        if len(histories) == 1:
            write(printing.lines(histories[0], width), sys.stdout)
        else:
            write(printing.listing(histories, text), sys.stdout)
    if stood:
        from by_cp.replay.moments import told

        write(printing.around(stood.position, told(stood), width), sys.stdout)


def _diff(left: History, right: History, *, as_json: bool) -> None:
    from by_cp.replay import difference
    from by_cp.replay.terminal import width_of_terminal, write

    found = difference.between(left, right)
    if as_json:
        _json(found.as_json())
    else:
        write(difference.lines(found, width_of_terminal()), sys.stdout)


def _follow(source: Source, options: argparse.Namespace) -> bool:
    """Show a history, and what comes, until the execution is settled."""
    from by_cp.replay import printing
    from by_cp.replay.terminal import width_of_terminal, write

    [entries] = find(source, options.ids[0])
    import json

    known = history(entries, payload=options.payload)
    columns = printing.Columns.of(known.rows, width_of_terminal())
    if not options.json:
        write(printing.head(known, columns), sys.stdout)
    telling = Telling(payload=options.payload)
    broken, previous = False, None
    for number, (position, event) in enumerate(_going_on(source, entries), 1):
        row = telling.row(position, event)
        if options.json:
            sys.stdout.write(json.dumps(row.as_json(), ensure_ascii=False) + "\n")
        else:
            write(printing.row_lines(row, previous, columns), sys.stdout)
        sys.stdout.flush()
        broken, previous = broken or bool(row.broken), row
        if number >= len(entries) and row.after in SETTLED:
            break
    return broken


def _going_on(source: Source, entries: list[Entry]) -> Iterator[tuple[str, ExecutionEvent]]:
    """Yield the events of an execution that are known, and then those that come."""
    execution_id = ""
    for position, event in entries:
        if isinstance(event, ExecutionEvent):
            execution_id = event.execution_id
            yield position, event
    for page in source.follow(entries[-1][0]):
        for position, event in page:
            if isinstance(event, ExecutionEvent) and event.execution_id == execution_id:
                yield position, event


def _json(value: Any) -> None:
    import json

    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
