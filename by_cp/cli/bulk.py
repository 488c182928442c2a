"""Something done to many: so many at a time, and, when it is interrupted, told how far it came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from by_cp.errors import ServerError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

AT_ONCE = 100

STOPPED = (asyncio.CancelledError, ServerError)
"""What can end it before it is done: Ctrl-C, SIGTERM, and a server that is away."""


async def to_each(
    items: Sequence[Item],
    act: Callable[[Item], Awaitable[Answer]],
    done: list[Answer],
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Do something to each, and put what came of it into `done`, in their order.

    What raises ends it: those that were begun with it are awaited, and the error is raised then.

    Args:
        items: to what.
        act: is called with each.
        done: whoever is interrupted, by Ctrl-C or an error, finds in it what was done; what was on
            its way is awaited.
        advance: is told how many more are done.

    """
    for first in range(0, len(items), AT_ONCE):
        some = items[first : first + AT_ONCE]
        calls = asyncio.gather(*map(act, some), return_exceptions=True)
        try:
            await asyncio.shield(calls)
        finally:
            answers = await calls
            done += [one for one in answers if not isinstance(one, BaseException)]
            advance(len(some))
        for one in answers:
            if isinstance(one, BaseException):
                raise one
