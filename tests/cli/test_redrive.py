"""A dead letter's other life, by command: delivered once, whoever asks twice; many, with care."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess

import pytest

from tests.cli.operating import BY_CP, Command, plane_with_dead_letters
from tests.cli.test_commands import BY_REPLAY
from tests.contract.acting import force_circuit, online
from tests.waiting import until


@pytest.fixture
def by_cp(url: str) -> Command:
    """The command, on an empty server."""
    return Command(url)


async def test_a_dead_letter_that_is_redriven_is_delivered_once(url: str, by_cp: Command) -> None:
    """Its history shows both lives; the second redrive says where it stands by now."""
    async with plane_with_dead_letters(url, 1) as plane:
        [letter] = await asyncio.to_thread(by_cp.json, "deadletters", "--reason", "IMAGE")
        assert letter["execution_id"] == "dead-0"
        shown = await asyncio.to_thread(by_cp.json, "deadletters", "show", "dead-0")
        assert shown["command"]["body"]["content"] == "hello"
        await online(plane.store)
        for done, state in ((True, "DELIVERED"), (False, "DELIVERED")):
            [told] = await asyncio.to_thread(by_cp.json, "redrive", "dead-0", "--by", "ann")
            assert (told["done"], told["state"]) == (done, state)
        assert "no dead letter (any" in await asyncio.to_thread(by_cp, "redrive", "dead-0")
        assert await plane.redis.xlen("byai_gateway:ctrl:agent_type:echo") == 1
    history = await asyncio.to_thread(
        subprocess.check_output, (*BY_REPLAY, "dead-0", "--json", "--url", url)
    )
    events = [row["event"] for row in json.loads(history)]
    assert events[-6:] == [
        *("Failed", "DeadLettered", "Redriven", "Held", "BecameReady", "Delivered")
    ]
    assert await asyncio.to_thread(by_cp.json, "deadletters") == []


async def test_many_are_counted_first_and_asked_for(url: str, by_cp: Command) -> None:
    """A dry run, a question, and then hundreds."""
    async with plane_with_dead_letters(url, 300) as plane:
        await online(plane.store)
        dry = await asyncio.to_thread(by_cp.json, "redrive", "--agent-type", "echo", "--dry-run")
        assert dry == {"would_redrive": 300}
        asked = await asyncio.to_thread(lambda: by_cp("redrive", "--all", code=1))
        assert "Redrive 300 dead letters" in asked
        told = await asyncio.to_thread(by_cp.json, "redrive", "--all", "--yes")
        assert (told["redriven"], told["delivered"], told["refused"]) == (300, 300, 0)
        assert await plane.redis.xlen("byai_gateway:ctrl:agent_type:echo") == 300
        again = await asyncio.to_thread(by_cp.json, "redrive", "--all", "--yes")
        assert again["redriven"] == 0
        nothing = await asyncio.to_thread(by_cp, "redrive", "--all", "--yes")
        assert nothing == "No such dead letter; nothing was done.\n"


async def test_what_is_refused_is_told_and_left(url: str, by_cp: Command) -> None:
    """Exit 3, by reason, for one and for many."""
    async with plane_with_dead_letters(url, 3) as plane:
        await force_circuit(plane.store, "OPEN")
    many = await asyncio.to_thread(lambda: by_cp.json("redrive", "--all", "--yes", code=3))
    assert (many["refused"], many["refusals"]) == (3, {"the circuit is open: maintenance": 3})
    [one] = await asyncio.to_thread(lambda: by_cp.json("redrive", "dead-0", code=3))
    assert (one["done"], one["state"]) == (False, "DEADLETTER")
    assert len(await asyncio.to_thread(by_cp.json, "deadletters")) == 3


async def test_ctrl_c_tells_what_was_done(url: str) -> None:
    """The rest stays as it was."""
    async with plane_with_dead_letters(url, 40) as plane:
        bulk = subprocess.Popen(
            (*BY_CP, "redrive", "--all", "--yes", "--rate", "10", "--json"),
            env={**os.environ, "BY_CP_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

        async def begun() -> bool:
            return await plane.dead_letters.count() < 38

        try:
            await until(begun, 20)
        finally:
            bulk.send_signal(signal.SIGINT)
            output, errors = await asyncio.to_thread(bulk.communicate, timeout=20)
        assert (bulk.returncode, errors) == (130, b"")
        told = json.loads(output)
        assert told["interrupted"]
        assert told["redriven"] == 40 - await plane.dead_letters.count()


@pytest.mark.parametrize("arguments", [(), ("dead-0", "--all"), ("--all", "--reason", "x")])
def test_it_must_be_clear_which_are_meant(by_cp: Command, arguments: tuple[str, ...]) -> None:
    """Names, or a filter, or all."""
    assert "one of them" in by_cp("redrive", *arguments, code=2)
