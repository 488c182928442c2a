"""The operators' commands: tables for people, JSON for scripts, exit codes, and what they do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from tests.cli.operating import Command, hold, plane_with_dead_letters
from tests.contract.acting import LEASE_MS, online, release


@pytest.fixture
def by_cp(url: str) -> Command:
    """The command, on an empty server."""
    return Command(url)


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("status",), "No agent type yet"),
        (("pending",), "Nothing is held"),
        (("circuits",), "all circuits are closed"),
        (("quotas",), "by-cp quotas set"),
        (("deadletters",), "No such dead letter"),
        (("fallback", "list"), "by-cp fallback set"),
        (("quarantine", "list"), "Nothing is set aside"),
    ],
)
def test_where_nothing_is_something_helpful_is_said(
    by_cp: Command, command: tuple[str, ...], hint: str
) -> None:
    """A sentence for people; for scripts the same kind of document as ever."""
    assert hint in " ".join(by_cp(*command).split())
    assert isinstance(by_cp.json(*command), dict if command == ("status",) else list)


async def test_status_shows_everything_at_a_glance(url: str, by_cp: Command) -> None:
    """Managers, workers, what is held, what died."""
    async with plane_with_dead_letters(url, 2) as plane:
        await hold(plane, "exec-1")
        await plane.store.announce("worker-1", ("other",), LEASE_MS)
        await plane.store.take_signals("manager-1", 1, 0)
        await plane.store.beat("manager-1", LEASE_MS)
    told = await asyncio.to_thread(by_cp.json, "status")
    assert (told["managers"], told["held"], told["dead_letters"]) == (["manager-1"], 1, 2)
    assert {a["agent_type"]: (a["held"], a["workers"]) for a in told["agents"]} == {
        "echo": (1, []),
        "other": (0, ["worker-1"]),
    }
    shown = await asyncio.to_thread(by_cp, "status")
    assert "manager-1" in shown
    assert "by-cp deadletters" in shown


async def test_pending_shows_whole_ids(url: str, by_cp: Command) -> None:
    """So that they can be copied."""
    async with plane_with_dead_letters(url, 0) as plane:
        sent = await plane.client.send_message("echo", "s", "hi", route_policy="QUEUE_ONLY")
        await hold(plane, "urgent", priority=9, user_code="acme")
    assert sent.execution_id in await asyncio.to_thread(by_cp, "pending")
    [row] = await asyncio.to_thread(by_cp.json, "pending", "--tenant", "acme")
    assert (row["execution_id"], row["priority"], row["due_ms"]) == ("urgent", 9, 0)


def test_circuits_are_forced_and_given_a_policy(by_cp: Command) -> None:
    """Then they are listed."""
    assert "forced OPEN" in by_cp("circuits", "force", "echo", "OPEN", "--reason", "it burns")
    assert "2 failed wakes within 5 min" in " ".join(
        by_cp("circuits", "policy", "echo", "--failures", "2", "--window", "5m").split()
    )
    [row] = by_cp.json("circuits")
    assert (row["state"], row["reason"], row["forced"]) == ("OPEN", "it burns", True)
    assert row["policy"]["failures_max"] == 2
    assert by_cp.json("circuits", "force", "echo", "AUTO")["state"] == "CLOSED"
    assert "between 0 and 100" in by_cp("circuits", "policy", "--failures", "101", code=1)


def test_quotas_are_set_and_listed(by_cp: Command) -> None:
    """What is not named stays; what makes no sense is refused."""
    by_cp("quotas", "set", "acme", "--in-flight", "10")
    limits = ("--rate", "100", "--per", "1m", "--burst", "5", "--depth", "50")
    told = by_cp.json("quotas", "set", "acme", *limits)
    assert told == by_cp.json("quotas")[0]
    assert (told["in_flight_max"], told["rate_period_ms"], told["depth_max"]) == (10, 60_000, 50)
    assert "100 in 1 min, 5 at once" in by_cp("quotas")
    by_cp("quotas", "set", "--agent-type", "echo", "--depth", "7")
    assert by_cp.json("status")["agents"][0]["depth_max"] == 7
    assert "nothing to set" in by_cp("quotas", "set", "acme", code=2)
    assert "name either" in by_cp("quotas", "set", "--depth", "5", code=2)


def test_fallbacks_are_set_listed_and_unset(by_cp: Command) -> None:
    """A circle is refused in one line."""
    told = by_cp.json("fallback", "set", "echo", "other")
    assert told == {"agent_type": "echo", "selected": "other", "origin": "by-cp"}
    assert by_cp.json("fallback", "list") == [told]
    assert "circle" in by_cp("fallback", "set", "other", "echo", code=1)
    by_cp("fallback", "unset", "echo")
    assert by_cp.json("fallback", "list") == []


@pytest.mark.parametrize("quota", ["quota:tenant:acme", "quota:user:acme"])
async def test_what_stands_at_by_frameworks_keys_is_shown(
    redis: Redis, by_cp: Command, quota: str
) -> None:
    """With a mark that says so; and who closes such a circuit is told that it stays open."""
    written = {
        "circuit:agent_type:echo": '{"state":"OPEN","reason":"on fire"}',
        quota: '{"available":false,"reason":"unpaid"}',
        "fallback:agent_type:echo": '{"selected_agent_type":"spare"}',
    }
    for key, text in written.items():
        await redis.set(f"{RedisKeys.CONTROL_PLANE_PREFIX}:{key}", text)
    shown = {
        ("circuits",): ("OPEN*", "on fire"),
        ("quotas",): ("acme", "unpaid*"),
        ("fallback", "list"): ("echo", "spare*"),
        ("status",): ("OPEN*", "spare*", "not closed: echo"),
    }
    for command, words in shown.items():
        text = await asyncio.to_thread(by_cp, *command)
        assert all(word in text for word in (*words, "* at by-framework's key"))
        assert '"by-framework"' in json.dumps(await asyncio.to_thread(by_cp.json, *command))
    told = await asyncio.to_thread(by_cp, "circuits", "force", "echo", "CLOSED")
    assert "stays OPEN" in told
    assert RedisKeys.control_plane_agent_circuit("echo") in "".join(told.split())
    told = await asyncio.to_thread(by_cp, "fallback", "unset", "echo")
    assert "spare stands in for echo: so somebody else wrote" in told


async def test_cancel_takes_back_what_is_held(url: str, by_cp: Command) -> None:
    """One by name; many only if one says so; what was delivered stays delivered."""
    async with plane_with_dead_letters(url, 0) as plane:
        for number in range(4):
            await hold(plane, f"exec-{number}", user_code="acme" if number else "")
        [told] = await asyncio.to_thread(by_cp.json, "cancel", "exec-1", "--reason", "no need")
        assert (told["state"], told["code"]) == ("REJECTED", "EXECUTION_CANCELLED")
        refused = await asyncio.to_thread(lambda: by_cp("cancel", "--tenant", "acme", code=1))
        assert "Cancel 2 held commands" in refused
        assert "--yes" in refused
        many = await asyncio.to_thread(by_cp.json, "cancel", "--tenant", "acme", "--yes")
        assert [outcome["execution_id"] for outcome in many] == ["exec-2", "exec-3"]
        await online(plane.store)
        await release(plane.store)
    too_late = await asyncio.to_thread(lambda: by_cp.json("cancel", "exec-0", code=3))
    assert too_late[0]["state"] == "DELIVERED"
    unknown = await asyncio.to_thread(lambda: by_cp.json("cancel", "nobody", "exec-1", code=1))
    assert "is known here" in unknown[0]["reason"]
    assert unknown[1]["code"] == "EXECUTION_CANCELLED"


async def test_pause_and_resume_tell_what_is_held(url: str, by_cp: Command) -> None:
    """The mode is seen by every process at once."""
    async with plane_with_dead_letters(url, 0) as plane:
        await hold(plane, "exec-1")
    paused = await asyncio.to_thread(by_cp, "pause", "echo", "--reason", "upgrade")
    assert paused == "echo is paused; 1 held for it.\n"
    [agent] = (await asyncio.to_thread(by_cp.json, "status"))["agents"]
    assert (agent["mode"], agent["reason"]) == ("PAUSED", "upgrade")
    assert (await asyncio.to_thread(by_cp.json, "resume", "echo"))["mode"] == "RUNNING"


async def test_drain_waits_until_nothing_is_held(url: str, by_cp: Command) -> None:
    """Or until its timeout; what is held is delivered meanwhile."""
    async with plane_with_dead_letters(url, 0) as plane:
        await hold(plane, "exec-1")
        late = ("drain", "echo", "--wait", "--timeout", "0.1s")
        assert "not empty yet" in await asyncio.to_thread(lambda: by_cp(*late, code=1))
        waiting = asyncio.create_task(asyncio.to_thread(by_cp, "drain", "echo", "--wait"))
        await online(plane.store)
        await release(plane.store)
        assert "nothing is held" in await waiting


async def test_what_is_set_aside_is_shown_put_back_and_dropped(url: str, by_cp: Command) -> None:
    """Each by its id."""
    async with plane_with_dead_letters(url, 0) as plane:
        fields: Any = {
            b"data": b"no\x1bthing",
            b"by-cp:from": b"somewhere",
            b"by-cp:reason": b"no JSON",
        }
        redis: Any = plane.redis
        for _ in range(2):
            await redis.xadd(RedisKeys.quarantine(), fields)
        first, second = [entry.entry_id for entry in await plane.quarantine.list()]
        listed = await asyncio.to_thread(by_cp.json, "quarantine", "list")
        assert [entry["entry_id"] for entry in listed] == [first, second]
        assert r"no\x1bthing" in await asyncio.to_thread(by_cp, "quarantine", "show", second)
        await asyncio.to_thread(by_cp, "quarantine", "reinject", first, "--data", "{}")
        assert (await redis.xrange("somewhere"))[0][1] == {b"data": b"{}"}
    drop = ("quarantine", "drop", second)
    assert "--yes" in await asyncio.to_thread(lambda: by_cp(*drop, code=1))
    await asyncio.to_thread(by_cp, *drop, "--yes")
    assert "any more" in await asyncio.to_thread(lambda: by_cp(*drop, "--yes", code=1))
