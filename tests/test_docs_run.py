"""The pages' commands and programs are run on a real server, and print what the pages show."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from by_cp.cli.main import build
from by_cp.control_plane import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.replay.command import _parsed
from by_cp.vocabulary import RoutePolicy
from tests.cli.operating import Command
from tests.contract.acting import LEASE_MS, settle
from tests.test_docs import DOCS, example

ROOT = DOCS.parent
DEAD = [f"exec-{number}" for number in range(3)]
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

_BLOCK = re.compile(r"^ *```(?:console|sh)\b[^\n]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_HASH = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{4,}…")
_COUNTED = re.compile(r"(N \w+?)s\b")
_NUMBER = re.compile(r"\d[\d,]*(?:-\d+)?")


def commands_of(page: Path) -> Iterator[list[str]]:
    """The words of every command of by-cp's on a page."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ").partition(" | ")[0]
            if re.match(r"by-(?:cp|replay) ", command):
                yield shlex.split(command, comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    """With every flag and argument that it is shown with."""
    for name, *words in commands_of(page):
        if name == "by-replay":
            _parsed(words)
        else:
            build(*words[:1]).parse_args(words, exit_on_error=False, print_error=False)


def shape(text: str) -> str:
    """What a command prints, but for numbers, hashes, plurals, and how it lines up."""
    return " ".join(_COUNTED.sub(r"\1", _NUMBER.sub("N", _HASH.sub("H", text))).split())


class Shown:
    """An example of a page: commands, each with what it prints."""

    def __init__(self, page: str, name: str) -> None:
        parts = re.split(r"^\$ ", example(page, name), flags=re.MULTILINE)
        self._steps = [part.partition("\n")[::2] for part in parts if part]

    def run(self, by_cp: Command, named: dict[str, str] | None = None) -> Iterator[str]:
        """Run one command after the other; what stands for something is replaced by it."""
        for line, expected in self._steps:
            for text, there in (named or {}).items():
                line = line.replace(text, there)  # noqa: PLW2901 - so it is typed
            _, *words = shlex.split(line, comments=True)
            code, output, errors = by_cp.run(*words)
            assert code == 0, errors
            if expected:
                assert shape(output + errors) == shape(expected)
            yield output


@pytest.fixture
def by_cp(url: str) -> Command:
    """The command, on a server where `summarizer` has three dead letters, and `acme` a quota."""

    async def fill() -> None:
        async with ControlPlane.connect(url) as plane:
            for execution_id in DEAD:
                await plane.client.send_message(
                    *("summarizer", "session-1", "hello"),
                    route_policy=RoutePolicy.WAKE_AND_QUEUE,
                    execution_id=execution_id,
                )
            await settle(plane.store, DEAD[0], "FAILED", reason="no image")
            await plane.operate.set_quota("acme", 5)

    asyncio.run(fill())
    return Command(url)


def test_dead_letters_are_redriven_as_the_page_says(by_cp: Command) -> None:
    """One by its name; then it counts the others, and then, told `yes`, it redrives them."""
    shown = Shown("commands.md", "redrive")
    one, count, _ = shown.run(by_cp, {"exec-019d7a3b6c48…": DEAD[0], "--rate": "--yes --rate"})
    assert DEAD[0] in one
    assert "2" in count
    assert by_cp.json("deadletters") == []
    assert len(by_cp.json("pending")) == len(DEAD)


def test_views_are_verified_and_rebuilt_as_the_page_says(
    by_cp: Command, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words; only the numbers are others."""
    monkeypatch.chdir(tmp_path)
    list(Shown("views.md", "verify").run(by_cp))
    list(Shown("views.md", "snapshot").run(by_cp))
    with BlockingRedis.from_url(url) as client:
        client.hset(RedisKeys.view_quota("acme"), "l", "6")
    list(Shown("views.md", "rebuild").run(by_cp))


def test_a_log_is_archived_and_restored_as_the_page_says(
    by_cp: Command, url: str, tmp_path: Path
) -> None:
    """The same words; and at last the log is back."""
    with BlockingRedis.from_url(url) as client:
        before = client.xrange(RedisKeys.log())
        steps = Shown("archive.md", "archive").run(by_cp, {"/var/lib/by-cp": str(tmp_path)})
        next(steps)
        assert "as it was written" in next(steps)
        client.flushdb()
        assert "restored" in next(steps)
        assert client.xrange(RedisKeys.log()) == before


# --- Programs -------------------------------------------------------------------------------------


async def run(source: str, url: str, **names: Any) -> None:
    """Run a program that awaits at its top, as the interpreter of `python -m asyncio` does."""
    source = source.replace("redis://localhost:6379", url)
    code = compile(source, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)  # noqa: S307 - it is our own


async def test_a_program_does_what_the_commands_do(redis: Redis, url: str) -> None:
    """It looks, pauses, sets a quota, redrives."""
    async with ControlPlane.connect(url) as plane:
        await run(example("commands.md", "program"), url)
        agents = {agent.agent_type: agent.mode for agent in await plane.views.agents()}
        quota = await plane.views.quota("acme")
    assert agents == {"summarizer": "PAUSED"}
    assert quota is not None
    assert quota.in_flight_max == 10
    assert [entry.event.name for entry in await RedisStore(redis).read()] == [
        *("AgentPaused", "QuotaSet")
    ]


async def test_the_readmes_first_program_sends(
    redis: Redis, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a worker that is online: it is told so, with the execution's id."""
    await RedisStore(redis).announce("worker-1", ("summarizer",), LEASE_MS)
    await run(example("../README.md", "sends"), url)
    assert capsys.readouterr().out.startswith("True  exec-")


async def test_the_readmes_second_program_sends(redis: Redis, url: str) -> None:
    """With by-framework's names, on a client that is there already: it is held."""
    await run(example("../README.md", "framework"), url, redis=redis)
    [held] = await RedisStore(redis).pending("summarizer", 10)
    assert held.agent_type == "summarizer"


async def test_a_history_is_recorded_and_replayed(
    redis: Redis, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the page on tests does it, in a project that has a place for it."""
    (tmp_path / "tests" / "histories").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    async with ControlPlane.connect(url) as plane:
        await plane.client.send_message("summarizer", "session-1", "hello")
        await run(example("testing.md", "records"), url, plane=plane)
    assert (tmp_path / "tests" / "histories" / "black-friday.jsonl").stat().st_size
