"""One log in which an older release wrote first, and then this one: whatever reads it, reads both.

The older part is a recorded history in which a depth is an event of agent types and tenants alike.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from by_cp.adapters import raw_log_at
from by_cp.log.rawlog import Page, decoded
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.command import main as by_replay_main
from by_cp.replay.opening import open_file
from by_cp.replay.sources import Entry
from by_cp.statemachine.events import Call, Evidence
from tests.cli.operating import Command
from tests.rawlogs import all_of
from tests.statemachine.test_histories import HISTORIES, entries_of, lines_of

OLD = next(path for path in HISTORIES if path.stem == "schema-4")
HELD = "has its share again"
"""An execution of the older part that is still held."""
SCULPTOR_MAX, ACME_MAX = 3, 61
"""What this release then sets."""
COMMON = ("execution_id", "version", "cause")
NAMES = {"call": Call.__struct_fields__, "evidence": Evidence.__struct_fields__}


@pytest.fixture
def by_cp(url: str) -> Command:
    """The command, on a server with such a log and the rows that it says."""
    with RedisRawLog(url) as log:
        log.put([(line["position"], bytes.fromhex(line["hex"])) for line in lines_of(OLD)])
    command = Command(url)
    assert command.json("views", "rebuild")["ok"]
    command("quotas", "set", "--agent-type", "sculptor", "--depth", str(SCULPTOR_MAX))
    command("quotas", "set", "acme", "--depth", str(ACME_MAX))
    return command


def entries_at(url: str) -> Page:
    """The log's bytes."""
    log = raw_log_at(url)
    try:
        return all_of(log)
    finally:
        log.close()


def events_of(page: Page) -> list[Entry]:
    """What they mean."""
    return [entry for entries in decoded([page]) for entry in entries]


def history(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What by-replay prints."""
    capsys.readouterr()
    assert by_replay_main([HELD, *arguments]) == 0
    return capsys.readouterr().out


def test_the_log_has_both_versions_and_the_rows_are_as_it_says(by_cp: Command, url: str) -> None:
    """The old limits were in force until the new ones were set; nothing differs."""
    tags = [msgspec.msgpack.decode(data)[0] for _, data in entries_at(url)]
    assert tags.count("DepthSet/1") == 6
    assert tags[-2:] == ["DepthSet/2", "TenantDepthSet/1"]
    verdict = by_cp.json("views", "verify")
    assert (verdict["ok"], verdict["differences"], verdict["events"]) == (True, [], len(tags))
    agents = {agent["agent_type"]: agent["depth_max"] for agent in by_cp.json("status")["agents"]}
    assert (agents["painter"], agents["sculptor"]) == (50, SCULPTOR_MAX)
    [quota] = [row for row in by_cp.json("quotas") if row["user_code"] == "acme"]
    assert quota["depth_max"] == ACME_MAX


def test_a_snapshot_of_the_older_part_is_gone_on_from(by_cp: Command, tmp_path: Path) -> None:
    """It has views, no events: by which version they were told, nobody sees."""
    file = str(tmp_path / "views.snapshot")
    assert by_cp.json("views", "snapshot", file)["ok"]
    by_cp("quotas", "set", "acme", "--depth", "5")
    verdict = by_cp.json("views", "verify", "--from-snapshot", file)
    assert (verdict["ok"], verdict["events"]) == (True, 1)


def test_an_archive_keeps_the_bytes_of_both(
    by_cp: Command, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is restored to the same log, and by-replay reads it."""
    before, archive = entries_at(url), str(tmp_path / "archive")
    told = history(capsys, "--url", url)
    by_cp("log", "archive", archive, "--no-trim")
    assert by_cp.json("log", "verify", archive)["ok"]
    assert history(capsys, "--from", archive) == told
    with Redis.from_url(url) as client:
        client.flushdb()
    by_cp("log", "restore", archive)
    assert entries_at(url) == before
    assert by_cp.json("views", "rebuild")["ok"]
    assert by_cp.json("views", "verify")["ok"]


@pytest.mark.parametrize("name", ["log.db", "log.jsonl"])
def test_an_export_has_the_events_of_today(
    by_cp: Command, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Read back, it is the log; by-replay tells the same from it, the views around included."""
    path = tmp_path / name
    by_cp.json("log", "export", str(path))
    file = open_file(path, None)
    assert [entry for page in file.entries() for entry in page] == events_of(entries_at(url))
    file.close()
    around = ("--at", "2100-01-01", "--json")
    for arguments in ((), ("--json", "--payload"), around):
        there = history(capsys, *arguments, "--url", url)
        assert history(capsys, *arguments, "--from", str(path)) == there
    found = json.loads(history(capsys, *around, "--from", str(path)))
    [limit] = found["around"]["views"]["agents"]
    assert limit["depth_max"] == SCULPTOR_MAX


def test_lines_that_an_older_release_exported_are_read(tmp_path: Path) -> None:
    """Each says in which version it was written, and has that version's names."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f"{json.dumps(exported(line))}\n" for line in lines_of(OLD)), "utf-8")
    file = open_file(path, None)
    assert [entry for page in file.entries() for entry in page] == entries_of(OLD)
    file.close()


def exported(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a recorded history, as `by-cp log export` would have written it then."""
    event, _, schema = line["tag"].partition("/")
    common = {name: line["fields"][name] for name in COMMON if name in line["fields"]}
    detail = {name: value for name, value in line["fields"].items() if name not in common}
    detail |= {
        name: dict(zip(names, detail[name], strict=True))
        for name, names in NAMES.items()
        if name in detail
    }
    return {
        "position": line["position"],
        "time": "",
        "event": event,
        "schema": int(schema),
        **common,
        "detail": detail,
    }


def test_what_if_knows_the_limits_of_both(by_cp: Command) -> None:
    """With what was set there is no difference; without the old limits, somebody is let through."""
    assert by_cp.json("whatif")["changed"] == 0
    report = by_cp.json("whatif", "--depth", "sculptor=-1")
    assert [(d["was"], d["would_be"], d["count"]) for d in report["differences"]] == [
        ("AGENT_QUEUE_FULL", "let through", 1)
    ]
