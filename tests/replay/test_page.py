"""--html: a history as one page to share."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from by_cp.replay.history import history
from by_cp.replay.page import page
from by_cp.replay.timeline import END_PERCENT, MARKS_APART_PERCENT, timeline
from by_cp.statemachine.events import ExecutionEvent, Failed, Held, Requested, WakeRequested
from by_cp.testing.strategies import legal_histories
from tests.making import make_call
from tests.replay import example
from tests.replay.example import FAILS, REFUSED, WAITS
from tests.replay.replayed import by_replay

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Read(HTMLParser):
    """Reads a page: its text, its links, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(str(value))
            elif name == "href":
                self.links.add(str(value))
            assert name not in {"src", "onclick", "onload"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Hold that it is closed in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The example's log, as a file."""
    return str(example.written(tmp_path))


async def test_a_page_stands_alone(log: str, tmp_path: Path) -> None:
    """One file, no script, nothing from elsewhere; every link leads to a place in it."""
    file = tmp_path / "a.html"
    done = await by_replay(WAITS, REFUSED, "--from", log, "--html", str(file))
    assert (done.code, done.output, done.complaints) == (0, "", "")
    text = file.read_text(encoding="utf-8")
    read = Read(text)
    assert not read.open
    assert "script" not in read.tags
    assert "link" not in read.tags
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|url\(|@import", text)
    assert {link.removeprefix("#") for link in read.links} <= read.ids
    shown = " ".join(read.texts)
    for words in (WAITS, REFUSED, "pulling the image", "tenant quota exceeded: 2 of 2 in flight"):
        assert words in shown


async def test_a_page_shows_a_moment_and_the_payload_when_asked(log: str) -> None:
    """With --at what stood around it is there, with --payload the command; `-` is stdout."""
    done = await by_replay(
        *(FAILS, "--from", log, "--html", "-", "--at", "09:41:47", "--payload"),
    )
    shown = " ".join(Read(done.output).texts)
    assert "As it stood" in shown
    assert "this one is number 1 in order" in shown
    assert "Redriven" not in shown
    assert '"content":"🦜 /"' in shown


async def test_a_file_that_cannot_be_written_is_one_line(log: str, tmp_path: Path) -> None:
    """Nothing is left half written."""
    done = await by_replay(WAITS, "--from", log, "--html", str(tmp_path / "no" / "a.html"))
    assert done.code == 1
    assert done.complaints.count("\n") == 1


def test_nothing_turns_the_page_around() -> None:
    """Characters that change the direction of a text, or are none, are spelt out."""
    asked = Requested("e", 1, "c", make_call(agent_type="\u202egnp.exe"))
    held = Held("e", 2, "c", '{"a":"\u2066\u200f"}', 0, 0)
    text = page([history([("1-0", asked), ("1-1", held)], payload=True)])
    assert not {"\u202e", "\u2066", "\u200f"} & set(text)
    assert "\\u202egnp.exe" in text


@given(legal_histories())
def test_whatever_a_history_holds_is_text(events: list[ExecutionEvent]) -> None:
    """Markup in names, reasons and commands is shown, not obeyed."""
    told = history([(f"{n}-0", event) for n, event in enumerate(events, 1)], payload=True)
    read = Read(page([told]))
    assert not read.open
    assert "script" not in read.tags


@given(legal_histories())
def test_what_lasts_fills_the_line_without_a_gap(events: list[ExecutionEvent]) -> None:
    """States follow one another from the line's beginning to its end; marks keep apart."""
    told = history([(f"{n**3}-0", event) for n, event in enumerate(events, 1)])
    line = timeline(told)
    at = 0.0
    for state in line.states:
        assert state.left == pytest.approx(at, abs=0.01)
        at = state.left + state.width
    assert at == pytest.approx(100)
    lefts = [mark.left for mark in line.marks]
    assert all(b - a >= MARKS_APART_PERCENT for a, b in pairwise(lefts))
    assert line.marks[0].first == 1
    assert line.marks[-1].last == len(events)


def test_a_timeline_is_true_to_time() -> None:
    """Half of the time is half of the line, but for the end that the last state has."""
    events = (
        (0, Requested("e", 1, "c", make_call())),
        (0, Held("e", 2, "c", "{}", 0, 0)),
        (500, WakeRequested("e", 3, "c")),
        (1_000, Failed("e", 4, "c", "no")),
    )
    told = history([(f"{1_000 + at}-{n}", event) for n, (at, event) in enumerate(events)])
    line = timeline(told)
    half = (100 - END_PERCENT) / 2
    assert [(s.name, s.left, s.width, s.lasts) for s in line.states] == [
        ("REQUESTED", 0.0, half, "500 ms"),
        ("WAKING", half, half, "500 ms"),
        ("FAILED", 2 * half, END_PERCENT, ""),
    ]
    assert [(s.left, s.lasts) for s in line.wakes] == [(half, "500 ms")]
    assert [(s.left, s.lasts) for s in line.held] == [(0.0, "")]
    assert [mark.text for mark in line.marks] == ["1–2", "3", "4"]  # noqa: RUF001 - it says so
    assert [tick.text for tick in line.ticks][-1] == "1 s"
    assert {state: percent for state, _, percent in line.spent} == {"REQUESTED": 50, "WAKING": 50}
