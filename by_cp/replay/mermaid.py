"""A history as diagrams for Mermaid: who told whom what, and the way through the states. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from by_cp.replay.durations import lasting
from by_cp.replay.history import History, Row
from by_cp.statemachine.states import State

_PLAIN = re.compile(r"[^\w .,:'/()→+-]")
_END = re.compile(r"\bend\b", re.IGNORECASE)

_OF_MANAGER = {
    "WakeRequested": "L->>M",
    "WakeAttempted": "M->>P",
    "WakeProgressed": "M-->>L",
    "BecameReady": "M-->>L",
    "Failed": "M--xL",
}
"""Who tells whom while a manager is at work."""

_ARROWS = {"Requested": "C->>L", "Delivered": "L->>A", "Rejected": "L--xC"}


def diagrams(histories: list[History], kind: str) -> str:
    """Return the diagrams of histories.

    `kind` is `sequence` or `state`, as Mermaid's own text, or `both`, as Markdown.
    """
    made: list[str] = []
    for told in histories:
        sequence, state = "\n".join(sequence_diagram(told)), "\n".join(state_diagram(told))
        if kind == "both":
            fences = "".join(f"\n```mermaid\n{text}\n```\n" for text in (sequence, state))
            made.append(f"## {told.execution_id}\n{fences}")
        else:
            made.append((sequence if kind == "sequence" else state) + "\n")
    return "\n".join(made)


def sequence_diagram(told: History) -> Iterator[str]:
    """Yield the lines of who told whom what."""
    caller = told.call.source if told.call else "caller"
    agent_type = told.call.agent_type if told.call else "agent"
    has_manager = any(_is_of_manager(row) for row in told.rows)
    yield "sequenceDiagram"
    yield f"    participant C as {_text(caller or 'caller')}"
    yield "    participant L as by-cp"
    if has_manager:
        yield "    participant M as manager"
    if any(row.event == "WakeAttempted" for row in told.rows):
        yield "    participant P as provider"
    if any(row.event == "Delivered" for row in told.rows):
        yield f"    participant A as {_text(_delivered_to(told) or agent_type)}"
    for number, row in enumerate(told.rows, 1):
        if row.since_ms:
            yield f"    Note over L: {_text(lasting(row.since_ms))} later"
        yield f"    {_arrow(row)}: {_phrases(f'{number} {row.event}', *row.did)}"
        if row.why:
            yield f"    Note right of L: {_phrases(*row.why)}"


def state_diagram(told: History) -> Iterator[str]:
    """Yield the lines of the way through the states; the steps are numbered."""
    steps: dict[tuple[str, str], list[str]] = {}
    for number, row in enumerate(told.rows, 1):
        edge = (row.before or "[*]", row.after)
        steps.setdefault(edge, []).append(f"{number} {row.event}")
    yield "stateDiagram-v2"
    for (before, after), names in steps.items():
        yield f"    {before} --> {after}: {', '.join(names)}"
    yield "    classDef now stroke-width:3px,font-weight:bold"
    yield f"    class {told.state} now"
    if told.state == State.DELIVERED:
        yield f"    {told.state} --> [*]"


def _is_of_manager(row: Row) -> bool:
    return row.event in _OF_MANAGER and "WAKING" in {row.before, row.after}


def _delivered_to(told: History) -> str:
    return next(
        (str(row.fields["agent_type"]) for row in told.rows if row.event == "Delivered"), ""
    )


def _arrow(row: Row) -> str:
    """Return who tells whom; a note where by-cp tells nobody."""
    arrows = _OF_MANAGER if _is_of_manager(row) else _ARROWS
    return arrows.get(row.event, "Note over L")


def _phrases(*texts: str) -> str:
    return "<br/>".join(map(_text, texts))


def _text(text: str) -> str:
    """Spell a text so that nothing in it is Mermaid's grammar."""
    plain = _PLAIN.sub(lambda found: f"#{ord(found[0])};", text)
    return _END.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", plain)
