"""The commands, as a person or a script runs them: real processes, real exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.waiting import until

BY_CP = (sys.executable, "-m", "by_cp.cli")
BY_REPLAY = (sys.executable, "-m", "by_cp.replay.command")
WORKER = f"echo={sys.executable} -m by_cp.cli worker --handler by_cp.cli.demo_agents:shout"


def run(*command: str, code: int = 0) -> str:
    """Run a command to its end, and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 3) else done.stderr


def test_a_rejected_send_can_be_explained(url: str) -> None:
    """FAIL_FAST to nobody: exit 3, an error, and an id whose history says why."""
    sent = json.loads(run(*BY_CP, "send", "echo", "hi", "--json", "--url", url, code=3))
    assert sent["error_code"] == "AGENT_TYPE_UNAVAILABLE"

    history = run(*BY_REPLAY, sent["execution_id"], "--url", url)
    assert "no worker online of 0 registered" in history
    assert all(len(line) <= 80 for line in history.splitlines())
    rows = json.loads(run(*BY_REPLAY, sent["execution_id"], "--json", "--url", url))
    assert [row["event"] for row in rows] == ["Requested", "Rejected"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ((*BY_REPLAY, "exec-nobody"), "exec-nobody"),
        ((*BY_REPLAY, "x", "--url", "redis://localhost:1"), "no server answers"),
        ((*BY_CP, "send", "echo", "hi", "--url", "redis://localhost:1"), "no server answers"),
        ((*BY_CP, "send", "echo", "hi", "--url", "nonsense"), "no URL of a server"),
        ((*BY_CP, "send", " echo", "hi"), "white space"),
        ((*BY_CP, "manager", "--worker", "nonsense"), "AGENT_TYPE=COMMAND LINE"),
        ((*BY_CP, "worker", "--handler", "nonsense", "--agent-type", "a"), "module:function"),
    ],
)
def test_what_is_wrong_is_one_clear_line(url: str, command: tuple[str, ...], expected: str) -> None:
    """An unknown id, no server, a bad URL, a bad name: exit 1 and one line, no traceback."""
    given = () if "--url" in command else ("--url", url)
    error = run(*command, *given, code=1)
    assert expected in error
    assert error.count("\n") == 1


def test_wrong_usage_is_exit_code_two(url: str) -> None:
    """A flag that does not exist is told by the command line itself."""
    run(*BY_CP, "send", "echo", "hi", "--no-such-flag", code=2)


@pytest.mark.parametrize("command", ["demo", "manager", "worker", "send", "log"])
def test_each_command_explains_itself(command: str) -> None:
    """`--help` has the command's own words."""
    assert command in run(*BY_CP, command, "--help")


def test_send_says_what_became_of_a_message(url: str) -> None:
    """Delivered, held, being woken or rejected: each in its own words, with the execution's id."""
    policies = {
        "SEND_ANYWAY": "DELIVERED to echo",
        "queue-only": "HELD for echo  exec-",
        "WAKE_AND_QUEUE": "HELD for echo, and it is being woken",
    }
    for policy, words in policies.items():
        assert words in run(*BY_CP, "send", "echo", "hi", "--policy", policy, "--url", url)
    rejected = run(*BY_CP, "send", "echo", "hi", "--url", url, code=3)
    assert "REJECTED AGENT_TYPE_UNAVAILABLE  exec-" in rejected
    assert "No online worker found for agent_type 'echo'" in rejected


@pytest.mark.parametrize("command", ["manager", "worker"])
async def test_ctrl_c_ends_a_service_quietly(redis: Redis, url: str, command: str) -> None:
    """A manager or worker that is interrupted stops in order: exit 130, and no complaint."""
    handler = ("--agent-type", "a", "--handler", "by_cp.cli.demo_agents:shout")
    given = {"manager": ("--worker", WORKER), "worker": handler}[command]
    service = subprocess.Popen(
        [*BY_CP, command, *given, "--url", url], stderr=subprocess.PIPE, text=True
    )

    async def connected() -> bool:
        groups = ("byai_gateway:control_plane:mgmt:wakeup", "byai_gateway:ctrl:agent_type:a")
        return bool(await redis.exists(*groups))

    try:
        await until(connected, 20)
    finally:
        service.send_signal(signal.SIGINT)
        _, errors = service.communicate(timeout=20)
    assert service.returncode == 130
    assert {json.loads(line)["level"] for line in errors.splitlines()} == {"info"}


def test_an_idle_worker_ends_in_order(url: str) -> None:
    """By a flag or by its environment; what is no number is refused."""
    command = (*BY_CP, "worker", "--handler", "by_cp.cli.demo_agents:shout", "--url", url)
    run(*command, "--agent-type", "a", "--idle-exit-s", "0.01")
    env = {**os.environ, "BY_CP_AGENT_TYPE": "a", "BY_CP_IDLE_EXIT_S": "soon"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BY_CP_IDLE_EXIT_S" in done.stderr


async def test_a_worker_that_is_told_twice_to_stop_finishes_what_it_handles(
    redis: Redis, url: str, tmp_path: Path
) -> None:
    """SIGTERM for a process group comes twice if a wrapper in it passes it on: it is one stop."""
    (tmp_path / "slow.py").write_text("""
import pathlib, time
def handle(command):
    pathlib.Path("began").touch()
    while not pathlib.Path("may_end").exists():
        time.sleep(0.01)
    return "done"
""")
    run(*BY_CP, "send", "a", "hi", "--policy", "SEND_ANYWAY", "--url", url)
    command = (*BY_CP, "worker", "--agent-type", "a", "--handler", "slow:handle", "--url", url)
    worker = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        await until((tmp_path / "began").exists)
        assert worker.stderr is not None
        worker.send_signal(signal.SIGTERM)
        while "worker_draining" not in worker.stderr.readline():
            assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        (tmp_path / "may_end").touch()
    finally:
        _, errors = worker.communicate(timeout=20)
    assert (worker.returncode, "Traceback" in errors) == (0, False)
    assert await redis.xlen("byai_gateway:session:cli:data_stream") > 0


async def test_a_manager_wakes_a_worker_and_leaves_nothing_behind(redis: Redis, url: str) -> None:
    """WAKE_AND_WAIT is delivered by a real manager that starts a real worker; SIGTERM ends both."""
    manager = subprocess.Popen([*BY_CP, "manager", "--worker", WORKER, "--url", url])
    try:
        sent = run(
            *(*BY_CP, "send", "echo", "hi", "--policy", "WAKE_AND_WAIT", "--json"), "--url", url
        )
        assert json.loads(sent)["success"]
        session = "byai_gateway:session:cli:data_stream"

        async def answered() -> bool:
            return await redis.xlen(session) > 0

        await until(answered, 20)
    finally:
        manager.send_signal(signal.SIGTERM)
        assert manager.wait(20) == 0
    assert not await redis.keys("byai_gateway:registry:worker:online:*")  # it retired, in order


def _descendants(mark: str) -> list[int]:
    """Return the processes that carry the mark that the demo was started with."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # it is gone, or another's
            continue
        if f"BY_CP_TEST_MARK={mark}".encode() in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def test_the_demo_runs_to_its_end() -> None:
    """All five policies, real workers' answers, and a history last; nothing is left running."""
    done = subprocess.run(
        [*BY_CP, "demo"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("FAIL_FAST", "WAKE_AND_WAIT", "WAKE_AND_QUEUE", "QUEUE_ONLY", "SEND_ANYWAY"):
        assert shown in done.stdout
    assert "HELLO, ECHO" in done.stdout
    assert "Delivered" in done.stdout.split("by-replay")[-1]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["by-cp", "a manager is up", "answer to 2", "on duty"])
async def test_whenever_the_demo_is_ended_no_process_is_left(
    death: signal.Signals, moment: str
) -> None:
    """Ctrl-C, or even SIGKILL, at any moment: server, manager and workers go, too."""
    mark = f"{os.getpid()}-{death}-{abs(hash(moment))}"
    environment = {**os.environ, "BY_CP_TEST_MARK": mark, "PYTHONUNBUFFERED": "1"}
    demo = subprocess.Popen(
        [*BY_CP, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    while moment not in demo.stdout.readline():
        assert demo.poll() is None
    demo.send_signal(death)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == (130 if death == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in errors

    def all_gone() -> bool:
        return not _descendants(mark)

    await until(all_gone, 10)
