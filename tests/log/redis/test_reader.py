"""The fast reader: everything once and in order, or a clear error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from by_cp.errors import CorruptEvent, InvalidInput, ServerError, ServerUnreachable
from by_cp.keys import RedisKeys
from by_cp.log.rawlog import LogTrimmed, decoded, without_gc
from by_cp.log.redis import reader
from by_cp.log.redis.reader import LogReader
from tests.rawlogs import all_of, append, append_bytes, lives
from tests.waiting import until


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    """A client that waits for its answers."""
    with Redis.from_url(url) as made:
        yield made


@pytest.mark.parametrize("count", [1, 7, 100, 10_000])
def test_every_entry_comes_once_and_in_order(client: Redis, url: str, count: int) -> None:
    """Whatever the size of the pages, they hold the log."""
    entries = append(client, 350)
    pages = list(LogReader(url).pages(count=count))
    assert [entry for page in pages for entry in page] == entries
    assert all(0 < len(page) <= count for page in pages)


def test_a_page_is_as_long_as_asked_for_once_its_size_is_known(
    client: Redis, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page is short, because nobody knows yet how large entries are."""
    monkeypatch.setattr(reader, "FIRST_PAGE", 10)
    append(client, 250)
    assert [len(page) for page in LogReader(url).pages(count=100)] == [10, 100, 100, 40]


def test_large_entries_come_in_short_pages(
    client: Redis, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page holds as much as memory should, not as many entries as one might."""
    monkeypatch.setattr(reader, "FIRST_PAGE", 10)
    monkeypatch.setattr(reader, "PAGE_BYTES", 100_000)
    append_bytes(client, [b"x" * 10_000] * 40)
    assert [len(page) for page in LogReader(url).pages()] == [10, 9, 9, 9, 3]


def test_a_part_is_read_by_its_ends(client: Redis, url: str) -> None:
    """`after` is not in it, `until` is; both may lie between entries."""
    entries = append(client, 100)
    log = LogReader(url)
    first, last = entries[9][0], entries[19][0]
    assert all_of(log, after=first, until=last, count=3) == entries[10:20]
    assert all_of(log, after=entries[-1][0]) == []
    assert all_of(log, until="1-0") == []
    assert all_of(log, after="1-0", count=30) == entries


def test_no_log_is_an_empty_one(url: str) -> None:
    """A server that has no log yet has nothing to read."""
    assert all_of(LogReader(url)) == []


def test_what_is_appended_meanwhile_is_read_too(client: Redis, url: str) -> None:
    """The end is where the reader catches up."""
    entries = append(client, 20)
    read = []
    for number, page in enumerate(LogReader(url).pages(count=10)):
        read += page
        if number == 0:
            entries += append(client, 20)
    assert read == entries


def test_no_page_is_served_over_a_hole(client: Redis, url: str) -> None:
    """What is trimmed before it was read is an error, not a gap."""
    entries = append(client, 1000)
    pages = LogReader(url).pages(count=10)
    assert next(pages) == entries[:10]
    client.xtrim(RedisKeys.log(), minid=entries[500][0], approximate=False)
    with pytest.raises(LogTrimmed, match="read it through the archive"):
        list(pages)


def test_reading_on_insists_on_the_entry_that_was_last(client: Redis, url: str) -> None:
    """A log that no longer has it may have lost what followed."""
    entries = append(client, 20)
    log = LogReader(url)
    assert [e for page in log.continued(entries[4][0], count=3) for e in page] == entries[5:]
    assert list(log.continued(entries[-1][0])) == []
    client.xtrim(RedisKeys.log(), minid=entries[5][0], approximate=False)
    with pytest.raises(LogTrimmed, match=entries[4][0]):
        list(log.continued(entries[4][0]))


@pytest.mark.parametrize("fields", [{"f": b"1"}, {"e": b"1", "f": b"2"}])
def test_an_entry_that_is_not_by_cps_is_named(
    client: Redis, url: str, fields: dict[Any, Any]
) -> None:
    """It is neither left out nor taken for an event."""
    append(client, 5)
    position: Any = client.xadd(RedisKeys.log(), fields)
    with pytest.raises(CorruptEvent, match=position.decode()):
        all_of(LogReader(url))


def test_a_broken_connection_is_made_again(client: Redis, url: str) -> None:
    """Whoever reads notices nothing: no entry is missing, none comes twice."""
    entries = append(client, 3000)
    read = []
    for page in LogReader(url).pages(count=500):
        client.client_kill_filter(_type="normal", skipme=True)
        read += page
    assert read == entries


async def test_who_has_read_enough_leaves_no_connection(client: Redis, url: str) -> None:
    """A reader that is left early closes its connection."""
    append(client, 100)
    before = len(client.client_list())
    pages = LogReader(url).pages(count=10)
    next(pages)
    assert len(client.client_list()) == before + 1
    pages.close()  # type: ignore[attr-defined]  # it is a generator
    await until(lambda: len(client.client_list()) == before)


def test_a_reader_reads_as_often_as_one_likes(client: Redis, url: str) -> None:
    """Each time has a connection of its own, and none is left."""
    entries = append(client, 3)
    log = LogReader(url)
    assert all(all_of(log) == entries for _ in range(300))


def test_a_key_that_is_no_stream_is_a_clear_error(client: Redis, url: str) -> None:
    """The server's own words are passed on."""
    client.set(RedisKeys.log(), "text")
    with pytest.raises(ServerError, match="WRONGTYPE"):
        all_of(LogReader(url))


def test_no_server_and_no_url_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is the surroundings' fault, the other the caller's; no password is shown."""
    monkeypatch.setattr(reader, "PAUSES_S", ())
    with pytest.raises(ServerUnreachable, match="no server answers") as raised:
        all_of(LogReader("redis://:s3cret@localhost:1"))
    assert "s3cret" not in str(raised.value)
    for url in ("nonsense", "redis://localhost/x", "redis://localhost:0"):
        with pytest.raises(InvalidInput, match="no URL of a server"):
            LogReader(url)


def test_pages_can_be_decoded(client: Redis, url: str) -> None:
    """An entry that is no event is named by its position."""
    append(client, 5)
    with without_gc():
        read = [event for page in decoded(LogReader(url).pages(count=2)) for _, event in page]
    assert read == lives(5)
    assert list(decoded([[]])) == [[]]
    [(position, _)] = append_bytes(client, [b"\xc1"])
    with pytest.raises(CorruptEvent, match=f"at {position}: a log entry of 1 bytes is damaged"):
        list(decoded(LogReader(url).pages()))
