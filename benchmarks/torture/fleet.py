"""The processes that are tortured: started, killed, started again."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from subprocess import Popen, TimeoutExpired

from by_cp.deathsig import dying_with_parent

HERE = Path(__file__).parent
STOP_S = 30.0


class Fleet:
    """Managers, senders and, at the end, workers. All die with this process."""

    def __init__(self, url: str, directory: Path, seed: int, pause_s: float) -> None:
        self._url = url
        self._directory = directory
        self._seed = seed
        self._pause_s = pause_s
        self._log = (directory / "log").open("ab")
        self._senders_started = 0
        self.workers_killed = 0
        self.managers: list[Popen[bytes]] = []
        self.senders: list[Popen[bytes]] = []
        self.workers: list[Popen[bytes]] = []

    def start_manager(self) -> Popen[bytes]:
        """Start one more manager."""
        return self._start("manager.py", self._url, str(self._directory), str(self._seed))

    def start_sender(self) -> Popen[bytes]:
        """Start one more sender, whose executions nobody else sends."""
        self._senders_started += 1
        name = f"x{self._seed}-{self._senders_started}"
        return self._start("sender.py", self._url, str(self._directory), name, str(self._pause_s))

    def start_worker(self, agent_type: str) -> Popen[bytes]:
        """Start a worker that belongs to no manager."""
        environment = ("env", f"BY_CP_URL={self._url}", f"BY_CP_AGENT_TYPE={agent_type}")
        return self._start("worker.py", str(self._directory), before=environment)

    def kill(self, chance: random.Random, processes: list[Popen[bytes]]) -> int:
        """Kill one of them, and forget it; return its place."""
        place = chance.randrange(len(processes))
        process = processes.pop(place)
        assert process.poll() is None, f"{_name(process)} had ended by itself"
        process.kill()
        process.wait()
        return place

    def kill_worker(self, chance: random.Random) -> None:
        """Kill one of the managers' workers, if there is one."""
        workers = [pid for manager in self.managers for pid in _workers_of(manager.pid)]
        if workers:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(chance.choice(workers), SIGKILL)
                self.workers_killed += 1

    async def stop_one(self, chance: random.Random, processes: list[Popen[bytes]]) -> None:
        """Stop one of them in order, and forget it."""
        process = processes.pop(chance.randrange(len(processes)))
        await asyncio.to_thread(self.stop, [process])

    async def freeze(self, process: Popen[bytes], duration_s: float) -> None:
        """Stop a process as it is, and let it go on after a while, unless it was killed."""
        process.send_signal(SIGSTOP)
        try:
            await asyncio.sleep(duration_s)
        finally:
            process.send_signal(SIGCONT)

    def stop(self, processes: list[Popen[bytes]]) -> None:
        """Stop them in order; each must end well."""
        for process in processes:
            process.terminate()
        for process in processes:
            code = process.wait(STOP_S)
            # One that was started a moment ago ends before it can do so in order.
            assert code in {0, -SIGTERM}, f"{_name(process)} ended with {code}"
        processes.clear()

    def _start(self, program: str, *given: str, before: tuple[str, ...] = ()) -> Popen[bytes]:
        command = dying_with_parent((*before, sys.executable, str(HERE / program), *given))
        return Popen(command, stdout=self._log, stderr=self._log)  # noqa: S603 - our own


def _name(process: Popen[bytes]) -> str:
    """Return the program that a process runs, and what it was given."""
    command = process.args
    assert isinstance(command, list)
    return " ".join(command[command.index(sys.executable, 1) + 1 :])


def _workers_of(pid: int) -> list[int]:
    """Return the children of a process that are workers."""
    with suppress(OSError):  # the one or the other has ended
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if _runs_worker(child)]
    return []


def _runs_worker(pid: str) -> bool:
    return b"worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


@contextmanager
def fleet(url: str, directory: Path, seed: int, pause_s: float) -> Iterator[Fleet]:
    """A fleet of which nothing is left at the end."""
    ships = Fleet(url, directory, seed, pause_s)
    try:
        yield ships
    finally:
        everyone = [*ships.managers, *ships.senders, *ships.workers]
        for process in everyone:
            process.terminate()
        for process in everyone:
            try:
                process.wait(STOP_S)
            except TimeoutExpired:
                process.kill()
                process.wait()
