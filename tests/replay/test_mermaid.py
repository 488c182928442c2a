"""--mermaid: a history as diagrams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from by_cp.replay.history import history
from by_cp.replay.mermaid import sequence_diagram, state_diagram
from by_cp.statemachine.events import ExecutionEvent
from by_cp.testing.strategies import legal_histories
from tests.replay import example
from tests.replay.example import FAILS, WAITS
from tests.replay.replayed import by_replay


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The example's log, as a file."""
    return str(example.written(tmp_path))


async def test_both_diagrams_are_markdown(log: str) -> None:
    """What is printed can be pasted into a page or a ticket."""
    done = await by_replay(WAITS, "--mermaid", "--from", log)
    assert done.output.startswith(f"## {WAITS}\n")
    assert done.output.count("```mermaid\n") == 2
    assert done.output.count("```\n") == 2


async def test_who_told_whom_is_a_sequence(log: str) -> None:
    """The caller asks, the manager wakes, the agent gets it; gaps of time are said."""
    text = (await by_replay(WAITS, "--mermaid", "sequence", "--from", log)).output
    assert text.startswith("sequenceDiagram\n")
    for line in (
        r"C->>L: 1 Requested<br/>client asks for 'chat'",
        r"L->>M: 3 WakeRequested",
        r"M->>P: 4 WakeAttempted",
        r"M-->>L: 5 WakeProgressed",
        r"L->>A: \d+ Delivered",
        r"Note over L: 1\.9 s later",
    ):
        assert re.search(line, text), line


async def test_the_way_through_the_states_is_numbered(log: str) -> None:
    """A state that is left twice has one arrow for each way, with all its steps."""
    text = (await by_replay(FAILS, "--mermaid", "state", "--from", log)).output
    assert text.startswith("stateDiagram-v2\n")
    assert "[*] --> REQUESTED: 1 Requested" in text
    assert re.search(r"REQUESTED --> REQUESTED: 2 Held, \d Held", text)
    assert "class WAKING now" in text


@given(legal_histories())
def test_nothing_in_a_text_is_mermaids_grammar(events: list[ExecutionEvent]) -> None:
    """Names and reasons are spelt so that no line of a diagram ends early or means another thing.

    All of `NASTY_NAMES` went through Mermaid's own parser once; this holds what made that so.
    """
    told = history([(f"{number * 7}-0", event) for number, event in enumerate(events, 1)])
    for line in (*sequence_diagram(told), *state_diagram(told)):
        assert "\n" not in line
        text = re.sub(r"<br/>|#\d+;|-->>?|->>|--x|\[\*\]", "", line.partition(": ")[2])
        assert not re.search(r"[;#<>{}`%\"\\]|\bend\b", text), line
