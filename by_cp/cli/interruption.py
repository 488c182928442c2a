"""What is said when Ctrl-C ends long work: what was done of it, and what was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from by_cp.cli.running import INTERRUPTED, fail


@contextmanager
def told_if_interrupted(what: Callable[[], str]) -> Iterator[None]:
    """Say it in one line on stderr, if the work within is interrupted; the exit code is 130 then.

    It stands around whatever shows a bar or cleans up: both are over when the line is printed.

    Args:
        what: is asked then for what was done.

    """
    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted: {what()}", INTERRUPTED)
        raise
