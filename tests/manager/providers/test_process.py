"""The process provider: real processes, started once, watched, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from by_cp.errors import InvalidInput
from by_cp.limits import Limits
from by_cp.log.contract import Store
from by_cp.manager.controller import WakeupController
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.spec import WorkerSpec
from tests.asking import ask, state
from tests.manager.providers.starting import SLEEPER, pid_in, script, wake_of
from tests.processes import runs
from tests.waiting import until

Make = Callable[..., ProcessProvider]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes providers that are closed at the end."""
    made: list[ProcessProvider] = []

    def make_one(**commands: WorkerSpec | Sequence[str]) -> ProcessProvider:
        made.append(ProcessProvider(commands, url="redis://x", log_directory=tmp_path))
        return made[-1]

    yield make_one
    for provider in made:
        await provider.close()


async def test_an_unknown_agent_type_is_rejected(make: Make) -> None:
    """There is nothing to start, and the reason says what is missing."""
    decision = await make(a=SLEEPER).wakeup(wake_of("b"))
    assert decision.status == "REJECTED"
    assert decision.reason == "no command is configured for agent type 'b'"


async def test_one_process_for_each_agent_type(make: Make) -> None:
    """Wakes at the same time, and later ones, find the process that was started."""
    provider = make(a=SLEEPER)
    decisions = await asyncio.gather(*(provider.wakeup(wake_of("a")) for _ in range(5)))
    assert {decision.status for decision in decisions} == {"STARTING"}
    assert len({decision.reason for decision in decisions}) == 1


async def test_a_dead_process_is_started_again(make: Make) -> None:
    """A wake after the process has died starts another."""
    provider = make(a=SLEEPER)
    first = pid_in(await provider.wakeup(wake_of("a")))
    os.kill(first, signal.SIGKILL)
    decision = await provider.watch(wake_of("a"))
    assert decision.reason.startswith("the worker process was ended by SIGKILL")
    assert pid_in(await provider.wakeup(wake_of("a"))) != first


async def test_a_process_that_ended_but_not_for_this_wake_is_forgiven(make: Make) -> None:
    """A wake that met a worker on its way out gets another one; if that fails, the wake has."""
    provider = make(a=script("import time; time.sleep(0.05); raise SystemExit(3)"))
    first = pid_in(await provider.wakeup(wake_of("a")))
    late = wake_of("a", epoch="18-0")
    assert pid_in(await provider.wakeup(late)) == first
    assert (await provider.watch(late)).reason == "the worker process exited with code 3"
    assert not runs(first)


async def test_a_process_that_ended_in_order_is_forgiven(make: Make, tmp_path: Path) -> None:
    """It may have been online, and idle, before anybody looked; but not again and again."""
    provider = make(a=script("print('here')"))
    await provider.wakeup(wake_of("a"))
    decision = await provider.watch(wake_of("a"))
    assert decision.reason == "the worker process exited with code 0; its log ends: here"
    [log] = tmp_path.iterdir()
    assert log.read_text() == "here\nhere\n"


async def test_a_stuck_process_is_replaced_by_a_later_wake(tmp_path: Path) -> None:
    """A process that never brought a worker online does not block its agent type for ever."""
    provider = ProcessProvider(
        {"a": SLEEPER}, url="redis://x", log_directory=tmp_path, ready_timeout_s=0
    )
    async with provider:
        first = pid_in(await provider.wakeup(wake_of("a")))
        assert pid_in(await provider.wakeup(wake_of("a"))) != first
        assert not runs(first)


async def test_a_stuck_process_is_replaced_within_a_long_wake(tmp_path: Path) -> None:
    """A wake with an hour's time does not spend it on a process that hangs."""
    provider = ProcessProvider(
        {"a": SLEEPER}, url="redis://x", log_directory=tmp_path, ready_timeout_s=0.05
    )
    async with provider:
        first = pid_in(await provider.wakeup(wake_of("a", timeout_ms=3_600_000)))
        watching = asyncio.create_task(provider.watch(wake_of("a", timeout_ms=3_600_000)))
        await until(lambda: not runs(first))
        watching.cancel()


async def test_a_process_whose_worker_came_online_is_not_stuck(tmp_path: Path) -> None:
    """The wake ended long before its time, so the worker is there: the next wake keeps it."""
    provider = ProcessProvider(
        {"a": SLEEPER}, url="redis://x", log_directory=tmp_path, ready_timeout_s=0.05
    )
    async with provider:
        first = pid_in(await provider.wakeup(wake_of("a")))
        watching = asyncio.create_task(provider.watch(wake_of("a")))
        await asyncio.sleep(0)
        watching.cancel()
        began_s = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() > began_s + 0.06)
        assert pid_in(await provider.wakeup(wake_of("a"))) == first


async def test_the_worker_finds_its_url_and_agent_type(make: Make, tmp_path: Path) -> None:
    """BY_CP_URL and BY_CP_AGENT_TYPE are in its environment; its output goes into a log."""
    show = """
import os
print(os.environ['BY_CP_URL'], os.environ['BY_CP_AGENT_TYPE'])
raise SystemExit(1)
"""
    provider = make(**{"a/b: ü": script(show)})
    await provider.wakeup(wake_of("a/b: ü"))
    await provider.watch(wake_of("a/b: ü"))
    [log] = tmp_path.iterdir()
    assert log.read_text() == "redis://x a/b: ü\n"


async def test_an_early_end_is_reported_with_the_log(make: Make) -> None:
    """The exit code and the last lines of the log make the reason."""
    provider = make(a=script("print('line 1'); raise SystemExit('no such model')"))
    await provider.wakeup(wake_of("a"))
    decision = await provider.watch(wake_of("a"))
    assert decision.status == "FAILED"
    assert decision.reason == (
        "the worker process exited with code 1; its log ends: line 1 | no such model"
    )


async def test_a_program_that_is_not_there_is_an_early_end(make: Make) -> None:
    """A mistyped command says so."""
    provider = make(a=["/no/such/program"])
    try:
        await provider.wakeup(wake_of("a"))
        reason = (await provider.watch(wake_of("a"))).reason
    except FileNotFoundError as error:  # where there is no stub: the controller tells it
        reason = str(error)
    assert "/no/such/program" in reason


async def test_the_spec_of_a_worker_reaches_it(make: Make, tmp_path: Path) -> None:
    """Environment, directory and limits are what its spec says; and when to end if it is idle."""
    show = """
import os, resource
print(os.environ["COLOUR"], os.environ["BY_CP_IDLE_EXIT_S"], os.getcwd())
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    directory = tmp_path / "here"
    directory.mkdir()
    provider = make(
        a=WorkerSpec(
            command=script(show),
            env={"COLOUR": "blue"},
            directory=directory,
            limits=Limits(open_files=99),
            idle_exit_s=90,
        )
    )
    await provider.wakeup(wake_of("a"))
    reason = (await provider.watch(wake_of("a"))).reason
    assert reason.endswith(f"its log ends: blue 90 {directory} | 99")


async def test_a_worker_over_its_cpu_time_is_ended(make: Make) -> None:
    """The kernel does it, and the wake says so."""
    provider = make(
        a=WorkerSpec(command=script("while True: pass"), limits=Limits(cpu_s=1)),
    )
    await provider.wakeup(wake_of("a"))
    decision = await provider.watch(wake_of("a"))
    assert decision.reason == "the worker process was ended by SIGXCPU"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"processes_max": 0}, "processes_max 0"),
        ({"warm_min": 2}, "warm_min 2 is not between 0 and 1"),
        ({"idle_exit_s": 0}, "idle_exit_s must be over 0"),
        ({"log_bytes_max": 1}, "log_bytes_max 1 is not between 65536"),
        ({"processes_max": 2}, "without a backlog nothing tells"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(spec: dict[str, Any], problem: str) -> None:
    """When the provider is made, where somebody reads it."""
    with pytest.raises(InvalidInput, match=problem):
        ProcessProvider({"a": WorkerSpec(command=SLEEPER, **spec)}, url="redis://x")


@pytest.mark.parametrize("command", ["by-cp worker", [], [1]])
def test_a_command_is_a_sequence_of_texts(command: object) -> None:
    """A command line in one text, an empty one and a number are refused."""
    with pytest.raises(InvalidInput, match="agent type 'a'"):
        ProcessProvider({"a": command}, url="redis://x")  # type: ignore[dict-item]


async def test_close_ends_stubborn_processes_and_their_children(tmp_path: Path) -> None:
    """A worker that ignores SIGTERM, and what it started, are killed after the grace."""
    source = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
    provider = ProcessProvider(
        {"a": script(source)}, url="redis://x", log_directory=tmp_path, stop_grace_s=0.1
    )
    parent = pid_in(await provider.wakeup(wake_of("a")))
    log = next(tmp_path.iterdir())
    await until(lambda: log.read_text().endswith("\n"))
    child = int(log.read_text())
    await provider.close()
    assert not runs(parent)
    await until(lambda: not runs(child))
    decision = await provider.wakeup(wake_of("a"))
    assert (decision.status, decision.reason) == ("FAILED", "the manager is stopping")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no PR_SET_PDEATHSIG")
async def test_processes_die_with_a_killed_manager(tmp_path: Path) -> None:
    """SIGKILL of the process that has the provider ends its workers, too."""
    source = """
import asyncio
from by_cp.manager.providers.process import ProcessProvider
from tests.manager.providers.starting import SLEEPER, wake_of

async def main():
    provider = ProcessProvider({"a": SLEEPER}, url="redis://x")
    print((await provider.wakeup(wake_of("a"))).reason, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    manager = subprocess.Popen(script(source), stdout=subprocess.PIPE, text=True)
    with manager:
        assert manager.stdout is not None
        worker = int(manager.stdout.readline().split()[1])
        assert runs(worker)
        manager.kill()
    await until(lambda: not runs(worker))


async def test_a_worker_that_dies_early_fails_its_wake_at_once(store: Store, make: Make) -> None:
    """The controller hears of the early end and does not wait for the deadline."""
    receipt = await ask(store, "a", timeout_ms=600_000)
    provider = make(a=script("raise SystemExit(3)"))
    await WakeupController(store, provider).run_once()
    assert await state(store, receipt.execution_id) == "DEADLETTER"
