"""How a listing is shown: once as a table, once as JSON, or again and again until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from by_cp.cli.running import fail, run, server_url
from by_cp.control_plane import ControlPlane
from by_cp.errors import LoginRefused, ServerUnreachable

Watch = Annotated[
    bool,
    Parameter(negative=(), show_default=False, help="Show it again every second, until Ctrl-C."),
]
Limit = Annotated[int, Parameter(help="So many rows at most.")]

INTERVAL_S = 1.0


class Look(NamedTuple):
    """What one look at the control plane saw."""

    told: Any
    """For JSON."""
    shown: RenderableType
    """For people."""


Looking = Callable[[ControlPlane], Awaitable[Look]]


def look_at(look: Looking, url: str | None, *, as_json: bool, watch: bool = False) -> int:
    """Show what a look sees, and return the exit code."""
    if watch and as_json:
        return fail("--watch is for people and --json for scripts: take one of them")
    if watch and not sys.stdout.isatty():
        return fail("--watch needs a terminal; a script takes --json, again and again")

    async def once() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            seen = await look(plane)
        show(seen, as_json=as_json)
        return 0

    async def again_and_again() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            seen = (await look(plane)).shown
            with Live(seen, console=_console(), screen=True, auto_refresh=False) as live:
                while True:
                    await asyncio.sleep(INTERVAL_S)
                    try:
                        seen = (await look(plane)).shown
                    except LoginRefused:
                        raise
                    except ServerUnreachable:
                        live.update(Group(_away(), seen), refresh=True)
                    else:
                        live.update(seen, refresh=True)

    return run(again_and_again() if watch else once())


def _away() -> Text:
    now = datetime.now(UTC).strftime("%H:%M:%S")
    return Text(f"{now} UTC: the server is away. What was seen last:", "bold red")


def show(seen: Look, *, as_json: bool) -> None:
    """Print what was seen."""
    if as_json:
        text = json.dumps(msgspec.to_builtins(seen.told, str_keys=True), ensure_ascii=False)
        print(text)  # noqa: T201 - it is a command
    else:
        _console().print(seen.shown, crop=False)


def _console() -> Console:
    return Console(highlight=False)
