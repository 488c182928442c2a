"""The server's log is trimmed only of what is archived, verified and needed by nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from by_cp.keys import RedisKeys
from by_cp.log.commands import Member, Redrive
from by_cp.log.rawlog import Hold, Page, following
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.log.redis.store import RedisStore
from by_cp.replay.archive import trimming
from by_cp.replay.archive.archiving import archive
from by_cp.replay.archive.chain import Chain
from by_cp.replay.archive.directory import segment_name
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveMismatch
from by_cp.replay.archive.trimming import Keep, Trimmed, trim
from by_cp.statemachine.codec import CODEC
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request, make_settle
from tests.rawlogs import all_of, append, append_bytes, lives
from tests.waiting import until

NOTHING = Keep(age_ms=0)


def positions(page: Page) -> list[str]:
    """Return the positions of entries."""
    return [position for position, _ in page]


def test_what_is_archived_is_trimmed_but_for_its_last_entry(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """That one says where the next archive goes on."""
    entries = append(client, 50)
    chain = archive(log, directory)
    new = append(client, 5)
    told: list[int] = []
    done = trim(log, directory, chain, keep=NOTHING, progress=told.append)
    assert done.entries == sum(told) == 49
    assert done.kept == Hold(entries[-1][0], "the last entry of the archive stays, to go on from")
    assert all_of(log) == entries[-1:] + new


def test_it_is_trimmed_step_by_step(
    client: Redis, log: RedisRawLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command keeps the server busy for long."""
    monkeypatch.setattr(trimming, "STEP", 2000)
    entries = append(client, 7000)
    chain = archive(log, directory)
    before = client.info("commandstats").get("cmdstat_xtrim", {"calls": 0})["calls"]
    assert trim(log, directory, chain, keep=NOTHING).entries == 6999
    assert client.info("commandstats")["cmdstat_xtrim"]["calls"] - before == 3
    assert all_of(log) == entries[-1:]


def test_what_is_young_stays(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """By its age on the server's clock, and by its number; whichever keeps more."""
    now_ms = log.now_ms()
    for age_s, event in zip(range(60, 0, -1), lives(60), strict=True):
        data = CODEC.encode(event)
        client.xadd(RedisKeys.log(), {"e": data}, id=f"{now_ms - age_s * 1000}-0")
    entries = all_of(log)
    chain = archive(log, directory)

    done = trim(log, directory, chain, keep=Keep(age_ms=40_500))
    assert (done.entries, done.kept and done.kept.reason) == (
        20,
        "the last 40.5 s is kept",
    )
    done = trim(log, directory, chain, keep=Keep(age_ms=0, entries=25))
    assert done == Trimmed(15, Hold(entries[35][0], "the last 25 entries are kept"))
    assert all_of(log) == entries[35:]
    assert trim(log, directory, chain).entries == 0  # a day, by default


def test_what_a_consumer_has_not_read_stays(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """Nor what it has read but not acknowledged; nor what only the caller knows of."""
    entries = append(client, 50)
    chain = archive(log, directory)
    client.xgroup_create(RedisKeys.log(), "audit", id="0")
    done = trim(log, directory, chain, keep=NOTHING)
    assert (done.entries, done.kept and done.kept.reason) == (
        0,
        "the consumer group 'audit' is not further",
    )

    client.xreadgroup("audit", "one", {RedisKeys.log(): ">"}, count=20)
    client.xack(RedisKeys.log(), "audit", *positions(entries[:10]))
    done = trim(log, directory, chain, keep=NOTHING)
    assert done.kept is not None
    assert done.kept.position == entries[10][0]
    assert all_of(log) == entries[10:]

    client.xack(RedisKeys.log(), "audit", *positions(entries[10:20]))
    snapshot = Hold(entries[15][0], "the last snapshot is there")
    assert trim(log, directory, chain, keep=NOTHING, holds=[snapshot]).kept == snapshot
    done = trim(log, directory, chain, keep=NOTHING)
    assert done.kept is not None
    assert done.kept.position == following(entries[19][0])
    assert all_of(log) == entries[20:]


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (RoutePolicy.FAIL_FAST, "REJECTED"),
        (RoutePolicy.SEND_ANYWAY, "DELIVERED"),
        (RoutePolicy.QUEUE_ONLY, "REQUESTED"),
        (RoutePolicy.WAKE_AND_QUEUE, "WAKING"),
    ],
)
async def test_what_a_head_names_stays(
    redis: AsyncRedis, client: Redis, log: RedisRawLog, directory: Path, policy: str, state: str
) -> None:
    """In flight or settled: as long as an execution has a head its history is on the server."""
    before = append(client, 20)
    await RedisStore(redis).execute(make_request("exec-mine", policy))
    mine = all_of(log, after=before[-1][0])
    append(client, 20)
    chain = archive(log, directory)
    done = trim(log, directory, chain, keep=NOTHING)
    assert done == Trimmed(20, Hold(mine[0][0], f"exec-mine is {state}, and has a head"))
    assert all_of(log)[0] == mine[0]


async def test_what_is_settled_goes_when_its_head_has_expired(
    redis: AsyncRedis, client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """After its retention an execution is in the archive only."""
    store = RedisStore(redis, retention_ms=50)
    await store.execute(make_request("exec-mine", RoutePolicy.SEND_ANYWAY))
    entries = all_of(log) + append(client, 20)
    chain = archive(log, directory)
    await until(lambda: not client.exists(RedisKeys.head("exec-mine")))
    assert trim(log, directory, chain, keep=NOTHING).entries == len(entries) - 1


async def test_a_dead_letter_keeps_nothing_back(
    redis: AsyncRedis, client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """It may lie for ever; what it takes to redrive it is not in the log."""
    store = RedisStore(redis)
    await store.execute(make_request("exec-dead", RoutePolicy.WAKE_AND_QUEUE))
    [signal] = await store.take_signals("a-manager", 1, 0)
    await store.execute(make_settle(signal, [Member("exec-dead")], "FAILED"))
    entries = all_of(log) + append(client, 20)
    chain = archive(log, directory)
    assert trim(log, directory, chain, keep=NOTHING).entries == len(entries) - 1

    await store.execute(Redrive(execution_id="exec-dead", by="a test"))
    assert [entry.event.name for entry in await store.read()][-1] == "WakeRequested"


def test_what_this_release_cannot_read_stays(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """An event of a newer by-cp may belong to an execution that needs it."""
    entries = append(client, 10)
    [unknown] = append_bytes(client, [b"\x92\xa9Dreamt/99\xa6exec-1"])
    append(client, 10)
    chain = archive(log, directory)
    done = trim(log, directory, chain, keep=NOTHING)
    assert (done.entries, done.kept and done.kept.position) == (len(entries), unknown[0])
    assert done.kept
    assert "does not know events of kind 'Dreamt/99': upgrade it" in done.kept.reason


def damaged(directory: Path, chain: Chain) -> Chain:
    """Flip a byte in the middle of a segment."""
    path = directory / segment_name(1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    return chain


def replaced(directory: Path, chain: Chain) -> Chain:
    """Let a segment have another hash than the one in the chain."""
    [link] = chain.links
    return Chain((link._replace(sha256=bytes(32)),))


@pytest.mark.parametrize(
    ("harm", "told"), [(damaged, "damaged: it is 0x"), (replaced, "its SHA-256 is not the one")]
)
def test_nothing_is_trimmed_that_cannot_be_read_back(
    client: Redis,
    log: RedisRawLog,
    directory: Path,
    harm: Callable[[Path, Chain], Chain],
    told: str,
) -> None:
    """The segments are read again, right before."""
    entries = append(client, 50)
    chain = harm(directory, archive(log, directory))
    with pytest.raises(ArchiveDamaged, match=told):
        trim(log, directory, chain, keep=NOTHING)
    assert all_of(log) == entries


def test_nothing_is_trimmed_that_the_archive_has_not(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """Every entry is compared: another log that ends alike is found out."""
    entries = append(client, 50)
    chain = archive(log, directory)
    client.delete(RedisKeys.log())
    for number, (position, data) in enumerate(entries):
        client.xadd(RedisKeys.log(), {"e": data if number != 30 else b"x"}, id=position)
    with pytest.raises(ArchiveMismatch, match="nothing was trimmed"):
        trim(log, directory, chain, keep=NOTHING)
    assert client.xlen(RedisKeys.log()) == 50
