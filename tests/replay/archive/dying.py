"""Work that is killed: by SIGKILL, in a process of its own, at the n-th thing that it does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.directory import locked
from by_cp.replay.archive.restoring import restore
from by_cp.replay.archive.trimming import Keep, trim

Work = Callable[[RedisRawLog, Path], object]

# Forked from a process that has everything loaded already: a death takes milliseconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def archiving(log: RedisRawLog, directory: Path) -> None:
    """Archive and trim, as `by-cp log archive` does, in small segments."""
    with locked(directory):
        chain = archive(log, directory, limits=Limits(entries=40))
        trim(log, directory, chain, keep=Keep(age_ms=0))


def restoring(log: RedisRawLog, directory: Path) -> None:
    """Restore, as `by-cp log restore` does."""
    restore(log, directory)


def survives(work: Work, url: str, directory: Path, death: int) -> bool:
    """Do some work; kill it at the `death`-th call or return of any function in it."""
    process = _PROCESSES.Process(target=_mortal, args=(work, url, directory, death, None))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def length_of_life(work: Work, url: str, directory: Path) -> int:
    """Do some work to its end, and return how many calls and returns there were in it."""
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_mortal, args=(work, url, directory, 0, sender))
    process.start()
    length: int = receiver.recv()
    process.join()
    assert process.exitcode == 0
    return length


def _mortal(work: Work, url: str, directory: Path, death: int, sender: Any) -> None:
    count = 0

    def live(*_: object) -> None:
        nonlocal count
        count += 1
        if count == death:
            os.kill(os.getpid(), signal.SIGKILL)

    with RedisRawLog(url) as log:
        sys.setprofile(live)
        work(log, directory)
        sys.setprofile(None)
    if sender is not None:
        sender.send(count)
