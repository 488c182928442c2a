"""Log lines: an event and its facts, as text anywhere, as JSON or in colour from the services."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from by_cp import logs
from by_cp.cli.log_output import write_logs

log = logs.named("by_cp.tests")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines are written to; afterwards logging is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("by_cp")
    before = (root.level, ours.level, tuple(root.handlers))
    yield io.StringIO()
    root.setLevel(before[0])
    ours.setLevel(before[1])
    root.handlers[:] = before[2]


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    """The lines, each a JSON object."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_without_any_setting_a_line_is_text(caplog: pytest.LogCaptureFixture) -> None:
    """A program that uses by-cp reads event and facts in its own log."""
    log.warning("server_away", loop="gate", failures=3)
    assert caplog.messages == ["server_away loop=gate failures=3"]


@pytest.mark.parametrize("value", ["two words", "a=b", 'a "b"', "", "a\nevent=forged", "\x1b[2J"])
def test_whatever_a_fact_holds_it_stays_one_fact(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """White space, quotes and control characters are quoted: nothing can forge a line."""
    log.warning("said", text=value)
    assert caplog.messages == [f"said text={value!r}"]


async def test_facts_that_hold_for_a_task_are_in_its_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is logged deep inside knows its execution; another task's lines do not."""

    async def work(execution_id: str) -> None:
        with logs.about(execution_id=execution_id):
            await asyncio.sleep(0)
            log.warning("worked", step=1)

    await asyncio.gather(work("e1"), work("e2"))
    log.warning("done")
    expected = ["worked execution_id=e1 step=1", "worked execution_id=e2 step=1", "done"]
    assert caplog.messages == expected


def test_services_write_json(stream: io.StringIO) -> None:
    """A line is an object: time, level, logger, event, and each fact under its name."""
    write_logs("json", "info", stream)
    log.info("wake_settled", execution_id="e1", settled=3, reason="a\nb")
    [line] = written(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "wake_settled",
        "level": "info",
        "logger": "by_cp.tests",
        "execution_id": "e1",
        "settled": 3,
        "reason": "a\nb",
    }


def test_other_libraries_warnings_are_written_and_no_more(stream: io.StringIO) -> None:
    """Their lines below a warning may hold URLs with secrets; ours are written from a level on."""
    write_logs("auto", "debug", stream)
    logging.getLogger("other").info("GET https://user:secret@host")
    logging.getLogger("other").warning("gone: %s", 410)
    log.debug("seen")
    assert [line["event"] for line in written(stream)] == ["gone: 410", "seen"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_variables(form: logs.LogFormat, stream: io.StringIO) -> None:
    """A payload in a local variable does not get into the log with an exception."""
    write_logs(form, "info", stream)
    payload = {"password": "sesame " * 2}
    try:
        _ = len(payload) / 0
    except ZeroDivisionError:
        log.exception("broken", execution_id="e1")
    text = stream.getvalue()
    assert "ZeroDivisionError" in text
    assert "sesame sesame" not in text


def test_for_people_a_line_is_short(stream: io.StringIO) -> None:
    """Time, level, event and facts, in the order in which they were given."""
    write_logs("console", "info", stream)
    log.info("wake_settled", execution_id="e1", agent_type="two words")
    _, _, rest = stream.getvalue().partition(" ")
    assert rest == "[info] wake_settled execution_id=e1 agent_type='two words'\n"
