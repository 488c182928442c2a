"""The command provider: real commands, what they print, how they end, and what they leave."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from by_cp.errors import InvalidInput
from by_cp.limits import Limits
from by_cp.manager.provider import Decision, ProviderUnavailable
from by_cp.manager.providers.command import PROGRESS_MAX, CommandProvider
from by_cp.wire import WakeupDecision, WakeupRequest
from tests.manager.providers.starting import script, wake_of
from tests.processes import marked, runs
from tests.waiting import until

Shell = Callable[..., CommandProvider]


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    """Makes providers that run a shell script; they are closed at the end."""
    made: list[CommandProvider] = []

    def make(source: str, **settings: Any) -> CommandProvider:
        made.append(CommandProvider(["sh", "-c", source], **settings))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


async def test_the_request_is_on_standard_input(shell: Shell, tmp_path: Path) -> None:
    """As JSON, however long it is; a command that does not read it is fine, too."""
    request = wake_of("agent: ü", metadata={"a": [1]}, command_payload={"long": "x" * 1_000_000})
    await shell("cat > got", directory=tmp_path).wakeup(request)
    assert WakeupRequest.from_json((tmp_path / "got").read_bytes()) == request
    assert (await shell("true").wakeup(request)).status == "STARTING"


async def test_the_request_is_in_the_environment(shell: Shell, tmp_path: Path) -> None:
    """For a script that has no JSON: the names are those of the request."""
    request = wake_of("a", epoch="17-0", attempt=2, user_code="acme\0", region="eu", priority=3)
    await shell("env > got", directory=tmp_path, url="redis://x", env={"X": "y"}).wakeup(request)
    got = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines())
    assert (
        got.items()
        >= {
            "BY_CP_URL": "redis://x",
            "BY_CP_EXECUTION_ID": "exec-1",
            "BY_CP_AGENT_TYPE": "a",
            "BY_CP_SESSION_ID": "s",
            "BY_CP_TRACE_ID": "t",
            "BY_CP_USER_CODE": "acme\ufffd",
            "BY_CP_REGION": "eu",
            "BY_CP_POLICY": "WAKE_AND_QUEUE",
            "BY_CP_PRIORITY": "3",
            "BY_CP_TIMEOUT_MS": "30000",
            "BY_CP_EPOCH": "17-0",
            "BY_CP_ATTEMPT": "2",
            "X": "y",
        }.items()
    )


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("echo scaled", "STARTING", "scaled"),
        ("true", "STARTING", "the command exited with code 0"),
        ("""echo '{"status": "READY", "reason": "up"}'""", "READY", "up"),
        ("""printf '{"status": "QUEUED"}'; echo hm >&2""", "QUEUED", ""),
        ("""echo '{"status": "STARTING"}'; echo '{"status": "READY"}'; echo bye""", "READY", ""),
        ("""echo '{"status": "REJECTED", "reason": "no"}'; exit 1""", "REJECTED", "no"),
        ("""echo '{"status": "FAILED", "reason": "no"}'; exit 1""", "FAILED", "no"),
        (
            """echo '{"status": "READY"}'; echo oh >&2; exit 3""",
            *("FAILED", "the command exited with code 3: oh"),
        ),
        ("echo on stdout; exit 3", "FAILED", "the command exited with code 3: on stdout"),
        ("kill -9 $$", "FAILED", "the command was ended by SIGKILL"),
        (
            "echo '{'; echo '}'",
            *("FAILED", "the command printed a line that is no decision in JSON: {"),
        ),
        ("echo '{}'", "FAILED", "the provider's answer has no status"),
    ],
)
async def test_each_end_has_its_meaning(
    shell: Shell, source: str, status: str, reason: str
) -> None:
    """The table in the guide, row by row."""
    decision = await shell(source).wakeup(wake_of("a"))
    assert (decision.status, decision.reason) == (status, reason)


async def test_it_may_be_unavailable(shell: Shell) -> None:
    """Exit code 75, which means a temporary failure; and when to ask again, if it says that."""
    again = """echo '{"status": "QUEUED", "retry_after_ms": 700}'"""
    for source, retry_after_ms in (("", None), (f"{again};", 700)):
        with pytest.raises(ProviderUnavailable, match="code 75: busy") as caught:
            await shell(f"{source} echo busy >&2; exit 75").wakeup(wake_of("a"))
        assert caught.value.retry_after_ms == retry_after_ms


async def test_a_program_that_is_not_there_is_a_failure() -> None:
    """A mistyped command says so."""
    async with CommandProvider(["/no/such/program"]) as provider:
        decision = await provider.wakeup(wake_of("a"))
    assert decision.status == "FAILED"
    assert decision.reason.endswith("code 127: /no/such/program: No such file or directory")


async def test_progress_is_shown_while_it_runs(shell: Shell, tmp_path: Path) -> None:
    """Each STARTING and QUEUED at once, a repetition once; what is said last is the outcome."""
    os.mkfifo(tmp_path / "go")
    source = """
echo '{"status": "QUEUED", "reason": "place 2"}'
echo '{"status": "QUEUED", "reason": "place 2"}'
cat go
echo '{"status": "STARTING"}'
echo '{"status": "READY"}'
"""
    shown: list[str] = []
    provider = shell(source, directory=tmp_path)

    async def progress(news: Decision) -> None:
        assert isinstance(news, WakeupDecision)
        shown.append(f"{news.status} {news.reason}")

    wake = asyncio.create_task(provider.wakeup_with_progress(wake_of("a"), progress))
    await until(lambda: shown == ["QUEUED place 2"])
    assert not wake.done()
    (tmp_path / "go").write_text("")
    assert (await wake).status == "READY"
    assert shown == ["QUEUED place 2", "STARTING "]


async def test_progress_is_bounded(shell: Shell) -> None:
    """A command that prints without end is no flood of events; the last word still counts."""
    source = """
for n in $(seq 1000); do echo "{\\"status\\": \\"STARTING\\", \\"reason\\": \\"$n\\"}"; done
"""
    count = 0

    async def progress(_: Decision) -> None:
        nonlocal count
        count += 1
        await asyncio.sleep(0)

    decision = await shell(source).wakeup_with_progress(wake_of("a"), progress)
    assert decision.reason == "1000"
    assert 0 < count <= PROGRESS_MAX


async def test_a_line_without_end_is_bounded(shell: Shell) -> None:
    """It is no decision, and it is not kept in memory."""
    decision = await shell("printf '{'; head -c 10000000 /dev/zero").wakeup(wake_of("a"))
    assert decision.status == "FAILED"
    assert len(decision.reason) < 200


async def test_one_that_takes_too_long_is_killed_with_all_that_it_started(shell: Shell) -> None:
    """The reason holds what it said until then."""
    source = "trap '' TERM; sleep 600 & echo $!; sleep 600; true"
    provider = shell(source, timeout_s=0.2, stop_grace_s=0.05)
    decision = await provider.wakeup(wake_of("a"))
    words, _, child = decision.reason.rpartition(": ")
    assert (decision.status, words) == ("FAILED", "the command did not end within 0.2 s")
    await until(lambda: not runs(int(child)))


@pytest.mark.parametrize("end", ["cancel", "close"])
async def test_nothing_runs_on(shell: Shell, tmp_path: Path, end: str) -> None:
    """A wake that is cancelled, and a provider that is closed, end the command and its children."""
    provider = shell("sleep 600 & sleep 600; true", env={"MARK": str(tmp_path)}, stop_grace_s=0.05)
    wake = asyncio.create_task(provider.wakeup(wake_of("a")))
    await until(lambda: len(marked(str(tmp_path))) == 3)
    if end == "cancel":
        wake.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wake
        assert (await shell("true").wakeup(wake_of("a"))).status == "STARTING"
    else:
        await provider.close()
        assert (await wake).reason == "the command was ended by SIGTERM"
        assert (await provider.wakeup(wake_of("a"))).reason == "the manager is stopping"
    await until(lambda: not marked(str(tmp_path)))


async def test_what_it_leaves_behind_is_ended(shell: Shell) -> None:
    """A background process that nobody would ever end is no way to start a worker."""
    decision = await shell("sleep 600 > /dev/null & echo $!").wakeup(wake_of("a"))
    assert decision.status == "STARTING"
    await until(lambda: not runs(int(decision.reason)))


async def test_commands_die_with_a_killed_manager(tmp_path: Path) -> None:
    """SIGKILL of the process that has the provider ends its commands, too."""
    source = """
import asyncio
from by_cp.manager.providers.command import CommandProvider
from tests.manager.providers.starting import wake_of

provider = CommandProvider(["sh", "-c", "echo '{\\"status\\": \\"STARTING\\"}'; sleep 600; true"])

async def progress(_):
    print("started", flush=True)

asyncio.run(provider.wakeup_with_progress(wake_of("a"), progress))
"""
    environment = {**os.environ, "BY_CP_TEST_MARK": str(tmp_path)}
    manager = subprocess.Popen(script(source), stdout=subprocess.PIPE, text=True, env=environment)
    with manager:
        assert manager.stdout is not None
        assert manager.stdout.readline() == "started\n"
        manager.send_signal(signal.SIGKILL)
    await until(lambda: not marked(str(tmp_path)))


async def test_it_runs_under_limits(shell: Shell) -> None:
    """As worker processes do."""
    decision = await shell("ulimit -n", limits=Limits(open_files=99)).wakeup(wake_of("a"))
    assert decision.reason == "99"


@pytest.mark.parametrize("command", ["kubectl scale", [], [1], ["a\0"]])
def test_a_command_is_a_sequence_of_texts(command: Any) -> None:
    """A command line in one text, an empty one, a number and a zero byte are refused."""
    with pytest.raises(InvalidInput, match="a program and its arguments"):
        CommandProvider(command)
