"""Something done to many and interrupted: it says how far it came, and what is done is done."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from by_cp.cli.bulk import to_each
from by_cp.control_plane import ControlPlane
from by_cp.errors import ServerUnreachable
from by_cp.keys import RedisKeys
from by_cp.vocabulary import RoutePolicy
from tests.cli.operating import BY_CP, hold, plane_with_dead_letters
from tests.waiting import until

COUNT = 1_000
LeftOf = Callable[[ControlPlane], Awaitable[int]]


async def _held(plane: ControlPlane) -> int:
    return sum((await plane.store.census()).held.values())


async def _dead(plane: ControlPlane) -> int:
    return await plane.dead_letters.count()


async def _set_aside(plane: ControlPlane) -> int:
    return (await plane.store.census()).quarantined


async def _hold_many(plane: ControlPlane) -> tuple[str, ...]:
    await asyncio.gather(*(hold(plane, f"exec-{n}", user_code="acme") for n in range(COUNT)))
    return ("cancel", "--tenant", "acme", "--yes")


async def _bury_many(plane: ControlPlane) -> tuple[str, ...]:
    """Redriven by name: what a filter means is what test_redrive.py interrupts."""
    return (
        "redrive",
        *(letter.execution_id for letter in await plane.dead_letters.list(limit=COUNT)),
    )


async def _poison_many(plane: ControlPlane) -> tuple[str, ...]:
    redis: Any = plane.redis
    fields = {b"data": b"x", b"by-cp:from": b"somewhere", b"by-cp:reason": b"no JSON"}
    ids = [f"1700000000000-{number}" for number in range(COUNT)]
    for one in ids:
        await redis.xadd(RedisKeys.quarantine(), fields, id=one)
    return ("quarantine", "drop", *ids, "--yes")


def _start(url: str, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (*BY_CP, *arguments),
        env={**os.environ, "BY_CP_URL": url},
        stdout=subprocess.PIPE,
        **{"stderr": subprocess.PIPE, **streams},
    )


@pytest.mark.parametrize(
    ("begin", "left_of", "word", "number", "code"),
    [
        (_hold_many, _held, "cancelled", signal.SIGINT, 130),
        (_hold_many, _held, "cancelled", signal.SIGTERM, 143),
        (_bury_many, _dead, "redriven", signal.SIGINT, 130),
        (_poison_many, _set_aside, "dropped", signal.SIGINT, 130),
    ],
)
async def test_whoever_is_interrupted_says_how_many_were_done(
    url: str,
    begin: Callable[[ControlPlane], Awaitable[tuple[str, ...]]],
    left_of: LeftOf,
    word: str,
    number: signal.Signals,
    code: int,
) -> None:
    """By Ctrl-C or SIGTERM, in the middle: the count that it tells is that of the server."""
    async with plane_with_dead_letters(url, COUNT if left_of is _dead else 0) as plane:
        bulk = _start(url, *await begin(plane))

        async def begun() -> bool:
            return 0 < await left_of(plane) < COUNT

        try:
            await until(begun, 30)
        finally:
            bulk.send_signal(signal.SIGSTOP)  # so that it cannot end before the signal comes
            bulk.send_signal(number)
            bulk.send_signal(signal.SIGCONT)
            output, errors = await asyncio.to_thread(bulk.communicate, timeout=20)
        assert (bulk.returncode, errors) == (code, b"")
        left = await left_of(plane)
        done = COUNT - left
        assert left
        told = f"Interrupted: {done:,} {word}, {left:,} left as they were."
        assert " ".join(output.decode().split()) == told


async def test_json_has_what_was_done(url: str) -> None:
    """A script has the list of them."""
    async with plane_with_dead_letters(url, 0) as plane:
        bulk = _start(url, *await _hold_many(plane), "--json")

        async def begun() -> bool:
            return await _held(plane) < COUNT

        try:
            await until(begun, 30)
        finally:
            bulk.send_signal(signal.SIGINT)
            output, _ = await asyncio.to_thread(bulk.communicate, timeout=20)
        assert len(json.loads(output)) == COUNT - await _held(plane)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_the_question_can_be_answered_with_ctrl_c(
    url: str, number: signal.Signals, code: int
) -> None:
    """At once, without another key, and nothing is done."""
    mine, theirs = pty.openpty()
    async with plane_with_dead_letters(url, 0) as plane:
        await hold(plane, "exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
        asking = _start(url, "cancel", "--tenant", "acme", stdin=theirs, stderr=theirs)
        os.close(theirs)
        try:
            seen = b""
            while b"[y/N]" not in seen:
                seen += await asyncio.to_thread(os.read, mine, 4096)
            assert b"Cancel 1 held command?" in seen
        finally:
            asking.send_signal(number)
            output, _ = await asyncio.to_thread(asking.communicate, timeout=20)
            os.close(mine)
        assert (asking.returncode, output, await _held(plane)) == (code, b"", 1)


async def test_yes_is_an_answer(url: str) -> None:
    """And so is everything else: no."""
    async with plane_with_dead_letters(url, 0) as plane:
        await hold(plane, "exec-1", user_code="acme")
        for answer, code, held in ((b"\n", 1, 1), (b"y\n", 0, 0)):
            mine, theirs = pty.openpty()
            asking = _start(url, "cancel", "--tenant", "acme", stdin=theirs)
            os.write(mine, answer)
            await asyncio.to_thread(asking.communicate, timeout=20)
            os.close(theirs)
            os.close(mine)
            assert (asking.returncode, await _held(plane)) == (code, held)


async def test_what_was_done_before_the_server_went_away_is_known() -> None:
    """Those that were begun together are awaited; the error is raised then."""
    done: list[int] = []

    async def act(number: int) -> int:
        if number == 150:
            raise ServerUnreachable("the server does not answer")
        return number

    with pytest.raises(ServerUnreachable):
        await to_each(range(1_000), act, done)
    assert done == [number for number in range(200) if number != 150]
