"""`by-cp quarantine`: what could not be read."""

from __future__ import annotations

from typing import Any

from cyclopts import App
from rich.console import Group
from rich.text import Text

from by_cp.cli.asking import Yes, may
from by_cp.cli.bulk import STOPPED, to_each
from by_cp.cli.grid import Column
from by_cp.cli.looking import Limit, Look, look_at, show
from by_cp.cli.running import AsJson, Url, fail, help_of_group, run, server_url
from by_cp.cli.tables import ago, and_more, as_it_is, counted, lines, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.log.contract import Quarantined
from by_cp.statemachine.position import time_ms

quarantine = App(
    name="quarantine",
    help=help_of_group(
        "List entries that could not be read; put back, or drop.", "quarantine show 1795562605037-0"
    ),
)


@quarantine.default
@quarantine.command(name="list", show=False)
def list_(*, limit: Limit = 100, as_json: AsJson = False, url: Url = None) -> int:
    """List entries that could not be read and were set aside.

    The oldest come first.

    Example: `by-cp quarantine`

    Exit codes: 0 listed; 1 an error; 2 wrong usage.

    Args:
        limit: So many.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        found = await plane.quarantine.list(limit)
        now_ms = await plane.store.now_ms()
        columns = (
            Column("Entry", whole=True),
            "Set aside",
            Column("Stream", long=True),
            Column("Reason", long=True),
        )
        grid = table(columns, (_cells(entry, now_ms) for entry in found))
        hint = "Nothing is set aside: all entries could be read."
        total = (await plane.store.census()).quarantined
        shown = and_more(or_hint(grid, len(found), hint), len(found), limit, total)
        return Look([_told(entry) for entry in found], shown)

    return look_at(look, url, as_json=as_json)


@quarantine.command(name="show")
def show_one(entry_id: str, *, as_json: AsJson = False, url: Url = None) -> int:
    """Show one entry, with what it says.

    Example: `by-cp quarantine show 1795562605037-0`

    Exit codes: 0 shown; 1 an error; 2 wrong usage.

    Args:
        entry_id: The entry, as `by-cp quarantine` lists it.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        entry = await plane.quarantine.show(entry_id)
        pairs = [("entry", entry.entry_id), ("stream", entry.stream), ("reason", entry.reason)]
        return Look(_told(entry), Group(lines(pairs), "", as_it_is(plain(entry.data))))

    return look_at(look, url, as_json=as_json)


@quarantine.command
def reinject(entry_id: str, *, data: str = "", as_json: AsJson = False, url: Url = None) -> int:
    """Put an entry back into the stream that it came from.

    Example: `by-cp quarantine reinject 1795562605037-0`

    Exit codes: 0 done; 1 an error, or it is gone; 2 wrong usage.

    Args:
        entry_id: The entry, as `by-cp quarantine` lists it.
        data: What it shall say instead.
        as_json: Print one JSON document.
        url: The server.

    """

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            entry = await plane.quarantine.show(entry_id)
            if not await plane.quarantine.reinject(entry, data):
                return fail(f"entry {entry_id} is gone")
        told = {"entry_id": entry_id, "stream": entry.stream}
        show(Look(told, Text(f"It is back in {plain(entry.stream)}.")), as_json=as_json)
        return 0

    return run(work())


@quarantine.command
def drop(*entry_ids: str, yes: Yes = False, as_json: AsJson = False, url: Url = None) -> int:
    """Remove entries for good; it asks before.

    Example: `by-cp quarantine drop 1795562605037-0`

    Exit codes: 0 done; 1 an error, or one is gone; 2 wrong usage.

    Args:
        entry_ids: The entries, as `by-cp quarantine` lists them.
        yes: Do not ask.
        as_json: Print one JSON document.
        url: The server.

    """
    if not entry_ids:
        return fail("name the entries, as `by-cp quarantine` lists them", 2)

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            entries = [await plane.quarantine.show(entry_id) for entry_id in entry_ids]
            if not await may(f"Drop {counted(len(entries), 'entry', 'entries')} for good", yes=yes):
                return fail("nothing was done")
            done: list[str] = []

            async def one(entry: Quarantined) -> str:
                return entry.entry_id if await plane.quarantine.drop(entry) else ""

            try:
                await to_each(entries, one, done)
            except STOPPED:
                show(_dropped(entries, done), as_json=as_json)
                raise
        show(_dropped(entries, done), as_json=as_json)
        return 0 if all(done) else 1

    return run(work())


def _dropped(entries: list[Quarantined], done: list[str]) -> Look:
    dropped = list(filter(None, done))
    said = f"{len(dropped):,} dropped."
    if left := len(entries) - len(done):
        said = f"Interrupted: {len(dropped):,} dropped, {left:,} left as they were."
    return Look({"dropped": dropped}, Text(said))


def _cells(entry: Quarantined, now_ms: int) -> tuple[str, ...]:
    set_aside = f"{ago(time_ms(entry.entry_id), now_ms)} ago"
    return (entry.entry_id, set_aside, _stream(entry), entry.reason)


def _stream(entry: Quarantined) -> str:
    return entry.stream.partition("control_plane:")[2] or entry.stream


def _told(entry: Quarantined) -> dict[str, Any]:
    return entry._asdict() | {"set_aside_ms": time_ms(entry.entry_id)}
