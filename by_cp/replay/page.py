"""A history as one HTML page to look at and to share: no script, nothing from elsewhere."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from by_cp.errors import InvalidInput
from by_cp.replay.durations import clock, iso, lasting, moment
from by_cp.replay.history import SETTLED, History, summary
from by_cp.replay.timeline import timeline
from by_cp.replay.words import shown
from by_cp.statemachine.states import State

if TYPE_CHECKING:
    from by_cp.replay.moments import Around

STDOUT = "-"
_TEMPLATES = Path(__file__).parent / "templates"


def write_page(histories: list[History], stood: Around | None, path: str) -> None:
    """Write the page into a file, all of it or nothing; `-` is the standard output.

    Raises:
        InvalidInput: the file cannot be written.

    """
    text = page(histories, stood)
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        _replace(Path(path), text)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error


def page(histories: list[History], stood: Around | None = None) -> str:
    """Return the page."""
    return _template().render(
        histories=[_of(told) for told in histories],
        around=_around(stood) if stood else None,
        version=metadata.version("by-cp"),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, lasting=lasting, clock=clock, iso=iso, pretty=_pretty)
    return environment.get_template("page.html")


def _of(told: History) -> dict[str, Any]:
    """Return what the template shows of a history."""
    call = told.call
    last = told.rows[-1]
    return {
        "told": told,
        "summary": summary(told),
        "reason": "; ".join(last.why) if told.state in SETTLED - {State.DELIVERED} else "",
        "settled": told.state in SETTLED,
        "day": moment(told.rows[0].time_ms).date().isoformat(),
        "days": len({moment(row.time_ms).date() for row in told.rows}),
        "line": timeline(told),
        "facts": [
            (name, value)
            for name, value in (
                ("agent type", call.agent_type),
                ("policy", call.policy),
                ("tenant", call.user_code),
                ("region", call.region),
                ("priority", call.priority or ""),
                ("asked by", call.source),
                ("", ""),
                ("session", call.session_id),
                ("message", call.message_id),
                ("trace", call.trace_id),
            )
            if value or not name
        ]
        if call
        else [],
    }


def _around(stood: Around) -> dict[str, Any]:
    from by_cp.replay.moments import told

    return {"position": stood.position, "time": stood.time, "told": list(told(stood))}


def _pretty(value: Any) -> str:
    """Return JSON, indented; what would turn the text around is spelt out."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return "\n".join(map(shown, text.split("\n")))


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
