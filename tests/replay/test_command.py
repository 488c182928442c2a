"""by-replay, as a real process on a real server."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from redis.asyncio import Redis

from by_cp.ids import new_execution_id
from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.making import make_request
from tests.replay.replayed import by_replay


async def test_a_rejection_shows_why(redis: Redis, url: str) -> None:
    """The table of a rejected execution fits into 80 columns and has the evidence."""
    receipt = await ask(RedisStore(redis), "poet")
    rejected = await ask(RedisStore(redis), "poet", RoutePolicy.FAIL_FAST)
    done = await by_replay(rejected.execution_id, "--url", url)
    assert done.code == 0
    assert "new → REQUESTED" in done.output
    assert "circuit CLOSED" in done.output
    assert "no worker online of 0 registered" in done.output
    assert "REQUESTED → REJECTED" in done.output
    assert receipt.execution_id not in done.output
    assert max(map(len, done.output.splitlines())) <= 80


async def test_json_is_an_array_of_objects(redis: Redis, url: str) -> None:
    """With --json it is for programs; the URL may come from the environment."""
    receipt = await ask(RedisStore(redis), "poet", user_code="acme")
    done = await by_replay(receipt.execution_id, "--json", BY_CP_URL=url)
    assert done.code == 0
    steps = done.json
    assert [step["event"] for step in steps] == ["Requested", "Held", "WakeRequested"]
    assert [step["after"] for step in steps] == ["REQUESTED", "REQUESTED", "WAKING"]
    assert {step["execution_id"] for step in steps} == {receipt.execution_id}
    assert steps[0]["fields"]["call"]["user_code"] == "acme"
    assert "command" not in steps[1]["fields"]
    assert steps[1]["payload_bytes"] > 0


async def test_the_payload_comes_when_asked_for(redis: Redis, url: str) -> None:
    """--payload shows the command as it was sent."""
    receipt = await ask(RedisStore(redis), "poet")
    done = await by_replay(receipt.execution_id, "--json", "--payload", "--url", url)
    assert f'"content":"{receipt.execution_id}"' in done.json[1]["fields"]["command"]
    done = await by_replay(receipt.execution_id, "--payload", "--url", url)
    assert f'"content":"{receipt.execution_id}"' in done.output.replace("\n            ", "")


async def test_colours_are_for_terminals(redis: Redis, url: str) -> None:
    """A pipe gets plain text, unless it is said otherwise."""
    receipt = await ask(RedisStore(redis), "poet")
    plain = await by_replay(receipt.execution_id, "--url", url, NO_COLOR="", FORCE_COLOR="")
    painted = await by_replay(receipt.execution_id, "--url", url, NO_COLOR="", FORCE_COLOR="1")
    assert "\x1b" not in plain.output
    assert "\x1b[33mWAKING\x1b[0m" in painted.output


async def test_so_much_of_an_id_as_is_unique_is_enough(redis: Redis, url: str) -> None:
    """The beginning of an id finds it, and if several begin so they are named."""
    store, [one, other] = RedisStore(redis), [new_execution_id(), new_execution_id()]
    for execution_id in (one, other):
        await store.execute(make_request(execution_id))
    unique = next(one[:n] for n in range(len(one)) if not other.startswith(one[:n]))
    assert one in (await by_replay(unique, "--url", url)).output
    several = await by_replay("exec-", "--url", url)
    assert several.code == 1
    assert one in several.complaints
    assert other in several.complaints
    assert several.complaints.count("\n") == 1


async def test_other_ids_are_a_way_in(redis: Redis, url: str) -> None:
    """A message's id finds its execution, a session's lists all of the session's."""
    store = RedisStore(redis)
    receipts = [await ask(store, agent_type) for agent_type in ("poet", "painter")]
    listed = await by_replay("session-1", "--url", url)
    assert listed.code == 0
    for receipt in receipts:
        assert f"{receipt.execution_id}  WAKING for 'p" in listed.output
    assert max(map(len, listed.output.splitlines())) <= 80
    rows = (await by_replay("message-1", "--json", "--url", url)).json
    assert {row["execution_id"] for row in rows} == {r.execution_id for r in receipts}


async def test_several_ids_are_shown_one_after_the_other(redis: Redis, url: str) -> None:
    """In the order in which they were given."""
    store = RedisStore(redis)
    ids = [(await ask(store, agent_type)).execution_id for agent_type in ("poet", "painter")]
    done = await by_replay(ids[1], ids[0], "--url", url)
    assert done.output.index(ids[1]) < done.output.index(ids[0])
    assert done.output.count("STATE BEFORE → AFTER") == 2


async def test_an_execution_is_found_when_its_head_is_gone(redis: Redis, url: str) -> None:
    """Heads expire; the log is searched then, from the time in the id on, or from its beginning."""
    store = RedisStore(redis)
    mine, theirs, early = new_execution_id(), "order-17", new_execution_id(2**47)
    for execution_id in (mine, theirs, early):
        await store.execute(make_request(execution_id))
        await redis.delete(RedisKeys.head(execution_id))
    for execution_id in (mine, theirs, early):
        rows = (await by_replay(execution_id, "--json", "--url", url)).json
        assert [row["event"] for row in rows] == ["Requested", "Rejected"]


@pytest.mark.parametrize("execution_id", ["exec-none", "", "\udcff", "a\nb"])
async def test_an_unknown_id_is_one_line(url: str, execution_id: str) -> None:
    """Whatever was typed, the answer is one clear line and exit code 1."""
    done = await by_replay(execution_id, "--url", url)
    assert (done.code, done.output) == (1, "")
    assert done.complaints.startswith("by-replay: ")
    assert done.complaints.count("\n") == 1


@pytest.mark.parametrize("url", ["redis://:s3cret@localhost:1", "nonsense"])
async def test_no_server_is_one_line(url: str) -> None:
    """A server that is not there, and a URL that is none, give one clear line each."""
    done = await by_replay("exec-1", "--url", url)
    assert done.code == 1
    assert done.complaints.count("\n") == 1
    assert "s3cret" not in done.complaints


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("exec-1", "--what"),
        ("exec-1", "--json", "--html", "a.html"),
        ("exec-1", "--follow", "--diff", "exec-2"),
        ("exec-1", "--follow", "--at", "12:00"),
        ("exec-1", "exec-2", "--at", "12:00"),
        ("exec-1", "--diff", "exec-2", "--mermaid"),
    ],
)
async def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    """No id, an unknown option, or options that exclude one another."""
    assert (await by_replay(*arguments)).code == 2


async def test_it_explains_itself() -> None:
    """Help and version need no server."""
    assert "--mermaid" in (await by_replay("--help")).output
    assert (await by_replay("--version")).output.count(".") == 2


async def test_a_reader_that_has_enough_is_no_error(redis: Redis, url: str) -> None:
    """`by-replay … | head -1` ends in silence."""
    receipt = await ask(RedisStore(redis), "poet")
    command = f"{sys.executable} -m by_cp.replay.command {receipt.execution_id} | true"
    process = await asyncio.create_subprocess_shell(
        command, stderr=asyncio.subprocess.PIPE, env={**os.environ, "BY_CP_URL": url}
    )
    _, complaints = await process.communicate()
    assert complaints == b""


async def test_a_known_id_needs_little(redis: Redis, url: str) -> None:
    """What takes long to import is not imported: `benchmarks/replaying.py` has the time."""
    receipt = await ask(RedisStore(redis), "poet")
    program = (
        "import sys; from by_cp.replay.command import main; main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, receipt.execution_id, "--url", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, loaded = await process.communicate()
    slow = {"redis", "asyncio", "rich.console", "jinja2", "json", "shutil", "dataclasses"}
    assert slow & set(loaded.decode().split()) == set()
