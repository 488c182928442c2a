"""What holds for every command, with no list that a new one could be missing from.

The commands are the parser's own. Each explains itself, is readable at 80 columns whatever the
names are, speaks JSON, and says in one line what is wrong.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pty
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from cyclopts import App
from rich.cells import cell_len

from by_cp.cli.main import build
from by_cp.control_plane import ControlPlane
from by_cp.embedded import EmbeddedServer
from tests.cli.crowded import DEAD, ECHO, HELD, LONG, POISON, TENANT, WIDE, crowd
from tests.cli.operating import BY_CP, Command
from tests.cli.terminal import WIDTH, in_terminal
from tests.waiting import until


def _commands(app: App, *path: str) -> Iterator[tuple[str, App]]:
    """Give every command and group of commands with its words."""
    yield " ".join(path), app
    for name in app:
        if not name.startswith("-"):
            yield from _commands(app[name], *path, name)


ALL = [name for name, app in _commands(build()) if app.show]
RUNNABLE = [name for name, app in _commands(build()) if name and app.default_command]
WATCHABLE = [
    name
    for name, app in _commands(build())
    if app.default_command and "watch" in inspect.signature(app.default_command).parameters
]
SERVICES = {"demo", "manager", "worker"}
"""They run until they are stopped: test_commands.py does."""

LISTINGS = {"status", "pending", "circuits", "quotas", "deadletters", "fallback", "quarantine"}


class Run(NamedTuple):
    """How a command is run on the crowded server."""

    arguments: str = ""
    code: int = 0


RUNS = {
    "send": Run(f"{LONG} hello", 3),
    "status": Run(),
    "pending": Run(),
    "circuits": Run(),
    "circuits force": Run(f"{LONG} auto"),
    "circuits policy": Run(f"{LONG} --failures 3 --window 10m"),
    "quotas": Run(),
    "quotas set": Run(f"{TENANT} --in-flight 1000000"),
    "deadletters": Run("--limit 2"),
    "deadletters show": Run(DEAD),
    "redrive": Run(f"{DEAD} nobody {HELD}", 3),
    "cancel": Run(f"{HELD} nobody {DEAD}", 1),
    "pause": Run(f"{LONG} --reason upgrade"),
    "resume": Run(WIDE),
    "drain": Run(LONG),
    "fallback": Run(),
    "fallback list": Run(),
    "fallback set": Run(f"{WIDE} {ECHO}"),
    "fallback unset": Run(LONG),
    "quarantine": Run(),
    "quarantine list": Run(),
    "quarantine show": Run(POISON),
    "quarantine reinject": Run(POISON),
    "quarantine drop": Run(f"{POISON} --yes"),
    "whatif": Run(f"--quota {TENANT}=1 --depth {ECHO}=1"),
    "log export": Run("log.db"),
    "log archive": Run("archive"),
    "log verify": Run("archive"),
    "log restore": Run("archive"),
    "views verify": Run(),
    "views rebuild": Run(),
    "views snapshot": Run("views.snapshot"),
}


def _line(name: str) -> list[str]:
    """Return a command's words and arguments."""
    return [*name.split(), *shlex.split(RUNS[name].arguments)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def by_cp(url: str) -> Command:
    """The command, on an empty server."""
    return Command(url)


@pytest.fixture
def crowded(url: str) -> Command:
    """The command, on a server on which everything is, and an archive of its log."""

    async def fill() -> None:
        async with ControlPlane.connect(url) as plane:
            await crowd(plane)

    asyncio.run(fill())
    command = Command(url)
    command("log", "archive", "archive")
    return command


def test_no_command_is_left_out() -> None:
    """Whoever adds one says here how it is run."""
    assert set(RUNS) | SERVICES == set(RUNNABLE)


@pytest.mark.parametrize("name", ALL)
def test_each_explains_itself(url: str, name: str) -> None:
    """In 80 columns: a summary of one line, an example that is right, and the exit codes."""
    code, help_text, errors = in_terminal(url, *name.split(), "--help")
    assert (code, errors) == (0, "")
    assert max(map(cell_len, help_text.splitlines())) <= WIDTH
    usage, summary, *more = [" ".join(part.split()) for part in help_text.split("\n\n")]
    assert usage.startswith(f"Usage: by-cp {name}".strip())
    assert summary.endswith(".")
    assert len(summary) <= WIDTH
    [example] = [part for part in more if part.startswith("Example: ")]
    words = shlex.split(example.removeprefix("Example: "))
    assert words[: 1 + len(name.split())] == ["by-cp", *name.split()]
    build(*words[1:2]).parse_args(words[1:], exit_on_error=False, print_error=False)
    assert any(part.startswith("Exit codes: 0 ") for part in more)


@pytest.mark.parametrize("name", RUNS)
def test_each_is_readable_in_a_terminal_of_80_columns(
    crowded: Command, url: str, name: str
) -> None:
    """However long the names; only what is there to be copied, a payload, is as long as it is."""
    code, output, errors = in_terminal(url, *_line(name))
    assert (code, errors) == (RUNS[name].code, "")
    assert name != "pending" or HELD in output
    assert name != "deadletters" or DEAD in output
    table, _, payload = output.partition("\n\n{")
    assert [line for line in table.splitlines() if cell_len(line) > WIDTH] == []
    assert bool(payload) == (name in {"deadletters show", "quarantine show"})
    assert "…" not in output


@pytest.mark.parametrize("name", RUNS)
def test_each_speaks_json(crowded: Command, name: str) -> None:
    """One document, with the same exit code, and nothing beside it."""
    told = crowded.json(*_line(name), code=RUNS[name].code)
    assert isinstance(told, (dict, list))


@pytest.mark.parametrize("name", RUNS)
def test_each_copes_with_an_empty_server(by_cp: Command, name: str) -> None:
    """It shows that there is nothing, or says in one line what is not there."""
    code, output, errors = by_cp.run(*_line(name))
    assert code in ({0} if name in LISTINGS else {0, 1, 3})
    assert "Traceback" not in errors
    assert errors.count("\n") == (0 if output else 1)


@pytest.mark.parametrize("name", sorted({*RUNS} - {"log verify"}))
def test_each_says_that_the_server_is_away(crowded: Command, name: str) -> None:
    """In one line, with its address: exit 1. To verify an archive takes no server."""
    error = Command("redis://localhost:1")(*_line(name), code=1)
    assert "redis://localhost:1" in error


@pytest.mark.parametrize("name", RUNNABLE)
def test_each_says_what_is_wrong_with_a_command_line(by_cp: Command, name: str) -> None:
    """In one line, with where to look: exit 2."""
    error = by_cp(*name.split(), "--no-such-flag", code=2)
    assert f"by-cp {name} --help" in error


@pytest.mark.parametrize("flags", ["", "--payload", f"--diff {HELD}", "--at 2099-01-01T00:00:00"])
def test_by_replay_is_as_readable(crowded: Command, url: str, flags: str) -> None:
    """A history with long names, in 80 columns."""
    code, output, errors = in_terminal(
        url, DEAD, *shlex.split(flags), module="by_cp.replay.command"
    )
    assert (code, errors) == (0, "")
    assert DEAD in output
    shown = output.partition("\n{")[0]
    assert [line for line in shown.splitlines() if cell_len(line) > WIDTH] == []


def test_by_replay_explains_itself(url: str) -> None:
    """As `by-cp` does."""
    code, output, _ = in_terminal(url, "--help", module="by_cp.replay.command")
    assert code == 0
    assert "\nExample: by-replay exec-" in output
    assert max(map(len, output.splitlines())) <= WIDTH


@asynccontextmanager
async def watching(url: str, command: str) -> AsyncIterator[Callable[..., Callable[[], bool]]]:
    """Watch on a terminal until Ctrl-C, which ends it quietly. Gives: was a text shown lately?"""
    mine, theirs = pty.openpty()
    environment = {**os.environ, "BY_CP_URL": url, "TERM": "xterm", "COLUMNS": "80"}
    watcher = subprocess.Popen(
        (*BY_CP, *command.split(), "--watch"),
        env=environment,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    os.set_blocking(mine, False)

    def shown(text: bytes, without: bytes = b"\0") -> Callable[[], bool]:
        def found() -> bool:
            try:
                lately = os.read(mine, 65536)
            except BlockingIOError:
                return False
            return text in lately and without not in lately

        return found

    try:
        yield shown
    finally:
        watcher.send_signal(signal.SIGINT)
        _, errors = watcher.communicate(timeout=20)
        os.close(mine)
    assert (watcher.returncode, errors) == (130, b"")


@pytest.mark.parametrize("command", WATCHABLE)
async def test_watch_shows_it_again_until_ctrl_c(url: str, command: str) -> None:
    """On a terminal; quietly ended."""
    async with watching(url, command) as shown:
        await until(shown(b"."), 20)


async def test_watch_outlives_its_server(tmp_path: Path) -> None:
    """What was seen last stays, with a line that says so, until the server is back."""
    server = await EmbeddedServer.start(tmp_path)
    async with watching(server.url, "status") as shown:
        await until(shown(b"managers"), 20)
        await server.stop()
        await until(shown(b"the server is away"), 20)
        async with await EmbeddedServer.start(tmp_path):
            await until(shown(b"managers", without=b"is away"), 20)


@pytest.mark.parametrize("name", WATCHABLE)
def test_watch_is_for_people(by_cp: Command, name: str) -> None:
    """A script, or whoever has no terminal, is told what to do instead."""
    assert "--watch needs a terminal" in by_cp(*name.split(), "--watch", code=1)
    assert "take one of them" in by_cp(*name.split(), "--watch", "--json", code=1)
