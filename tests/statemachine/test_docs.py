"""The page on the state machine says what is declared."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from by_cp.statemachine import upcast
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.diagram import mermaid
from by_cp.statemachine.events import SYSTEM_EVENTS, event_name
from by_cp.statemachine.states import Effect, State

PAGE = (Path(__file__).parents[2] / "docs" / "state-machine.md").read_text(encoding="utf-8")


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the tables of one section, without their heads."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"event", "effect", "state"}]


def test_diagram_in_the_docs_is_drawn_from_the_declaration() -> None:
    """Whoever changes the declaration draws it again."""
    assert f"```mermaid\n{mermaid()}```\n" in PAGE


def test_table_in_the_docs_is_the_declared_one() -> None:
    """Every transition with its effects, in order, and no other."""
    written = {
        (event.strip("`"), source.strip("`() "), dest.strip("`"), effects)
        for event, sources, dest, effects in (r for r in rows_below("Transitions") if len(r) == 4)
        for source in sources.split(",")
    }
    declared = {
        (row["trigger"], row["source"] or "new", str(row["dest"]), ", ".join(row["after"]))
        for row in TRANSITIONS
    }
    assert written == declared


def test_every_effect_is_explained() -> None:
    """In the order in which they are declared."""
    explained = [row[0] for row in rows_below("Transitions") if len(row) == 2]
    assert explained == [effect.value for effect in Effect]


def test_every_state_is_explained() -> None:
    """All seven of them."""
    assert [row[0].strip("`") for row in rows_below("States")] == list(State)


def test_the_example_of_a_change_is_what_was_done() -> None:
    """Its lines stand in upcast.py, in that order; only what explains them there is left out."""
    example = PAGE.partition("   ```python\n")[2].partition("   ```\n")[0]
    source = iter(Path(upcast.__file__).read_text(encoding="utf-8").splitlines())
    for line in filter(None, dedent(example).splitlines()):
        assert line in source, line


def test_every_system_event_is_named() -> None:
    """They are in no table, because nothing forbids any of them."""
    section = PAGE.partition("## System events\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert named == {event_name(event_type) for event_type in SYSTEM_EVENTS}
