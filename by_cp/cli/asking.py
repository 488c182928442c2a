"""What every command that changes something needs: who does it, and leave to do it to many."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import Annotated

from cyclopts import Parameter

from by_cp.errors import InvalidInput

By = Annotated[
    str | None, Parameter(help="Who does it, for the history; by default the user's name.")
]
Yes = Annotated[bool, Parameter(negative=(), show_default=False, help="Do not ask.")]


def who(by: str | None) -> str:
    """Return who does it: as given, or else the user's name."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


async def may(what: str, *, yes: bool) -> bool:
    """Ask whether to do something to many, unless that was said. Ctrl-C is an answer, too.

    Raises:
        InvalidInput: there is nobody to ask.

    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InvalidInput(f"{what}? Nobody is there to ask: add --yes")
    sys.stderr.write(f"{what}? [y/N] ")
    sys.stderr.flush()
    try:
        await _answered()
    except asyncio.CancelledError:
        sys.stderr.write("\n")
        raise
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


async def _answered() -> None:
    """Wait until there is a line to read: to read before would keep signals waiting."""
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    loop.add_reader(sys.stdin, answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin)
