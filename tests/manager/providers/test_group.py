"""Process groups: a command ends with everything that it started, whoever dies first."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from by_cp.manager.providers.group import ProcessGroup, Start
from by_cp.manager.providers.output import Tail
from by_cp.manager.providers.reaper import Reaper
from tests.manager.providers.starting import script
from tests.processes import marked, runs
from tests.waiting import until


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    """A reaper that is closed at the end."""
    made = Reaper()
    yield made
    made.close()


async def test_what_a_command_leaves_behind_is_killed(reaper: Reaper) -> None:
    """When the command itself has ended, its group is ended, too, and its output is complete."""
    tail = Tail()
    start = Start(command=["sh", "-c", "sleep 600 & echo $!"])
    group = await ProcessGroup.start(start, reaper, stdout=(tail,))
    await group.ended()
    assert (group.code, group.end) == (0, "exited with code 0")
    await until(lambda: not runs(int(str(tail))))


async def test_the_grace_is_for_the_whole_group(reaper: Reaper) -> None:
    """A shell goes at once when it is told to stop; what it runs may still finish."""
    tail = Tail()
    worker = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.1), print("finished"), sys.exit()))
os.write(1, b"up\\n")  # at once: print may be interrupted before it ends the line
time.sleep(600)
"""
    start = Start(command=["sh", "-c", '"$0" -c "$1" & wait', sys.executable, worker])
    group = await ProcessGroup.start(start, reaper, stdout=(tail,))
    await until(lambda: str(tail) == "up")
    await group.stop(10)
    assert str(tail) == "up | finished"
    assert group.end == "was ended by SIGTERM"


async def test_a_stop_that_is_cancelled_kills_at_once(reaper: Reaper) -> None:
    """Whoever has no more patience leaves nothing running."""
    tail = Tail()
    start = Start(command=["sh", "-c", "trap '' TERM; echo up; while :; do sleep 600; done"])
    group = await ProcessGroup.start(start, reaper, stdout=(tail,))
    await until(lambda: str(tail) == "up")
    stopping = asyncio.create_task(group.stop(600))
    await asyncio.sleep(0)
    stopping.cancel()
    await group.ended()
    assert group.end == "was ended by SIGKILL"


async def test_output_and_errors_may_be_told_apart(reaper: Reaper) -> None:
    """Each goes where it shall."""
    out, errors = Tail(), Tail()
    start = Start(command=["sh", "-c", "echo this; echo that >&2"])
    group = await ProcessGroup.start(start, reaper, stdout=(out,), stderr=(errors,))
    await group.ended()
    assert (str(out), str(errors)) == ("this", "that")


async def test_a_program_that_is_not_there_ends_with_127(reaper: Reaper) -> None:
    """As in a shell; and its name is in the output."""
    tail = Tail()
    group = await ProcessGroup.start(Start(command=["/no/such"]), reaper, stdout=(tail,))
    await group.ended()
    assert (group.code, str(tail)) == (127, "/no/such: No such file or directory")


async def test_a_directory_that_is_not_there_is_an_error_without_leftovers(reaper: Reaper) -> None:
    """Nothing was started, and no pipe stays open."""
    before = open_files()
    start = Start(command=["true"], directory=Path("/no/such"))
    with pytest.raises(FileNotFoundError):
        await ProcessGroup.start(start, reaper, stdout=(Tail(),))
    assert open_files() == before


async def test_a_killed_manager_leaves_no_group(tmp_path: Path) -> None:
    """SIGKILL of the manager ends even what a wrapper had started.

    A reaper that was killed before has a successor by then, which knows of all groups.
    """
    mark = f"BY_CP_TEST_MARK={tmp_path}"
    source = """
import asyncio, os, signal
from by_cp.manager.providers.group import ProcessGroup, Start
from by_cp.manager.providers.output import Tail
from by_cp.manager.providers.reaper import Reaper
from tests.waiting import until

async def main():
    reaper = Reaper()
    for _ in range(2):
        tail = Tail()
        await ProcessGroup.start(
            Start(command=["sh", "-c", "sh -c 'echo up; sleep 600; true' & wait"]), reaper,
            stdout=(tail,),
        )
        await until(lambda: str(tail) == "up")
        os.kill(reaper.pid, signal.SIGKILL)
        await until(lambda: open(f"/proc/{reaper.pid}/stat").read().split()[2] == "Z")
    await ProcessGroup.start(Start(command=["sleep", "600"]), reaper)
    print("started", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    environment = {**os.environ, "BY_CP_TEST_MARK": str(tmp_path)}
    manager = subprocess.Popen(script(source), stdout=subprocess.PIPE, text=True, env=environment)
    with manager:
        assert manager.stdout is not None
        assert manager.stdout.readline() == "started\n"
        assert (
            len(marked(mark)) >= 8
        )  # the manager, a reaper, two shells and a sleep twice, a sleep
        manager.send_signal(signal.SIGKILL)
    await until(lambda: not marked(mark))
