"""`by-cp whatif`: what other policies would have made of the traffic that was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console

from by_cp.adapters import raw_log_at
from by_cp.cli.grid import Column
from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show_json
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, server_url
from by_cp.cli.tables import table
from by_cp.errors import InvalidInput
from by_cp.log.rawlog import decoded, without_gc
from by_cp.names import check_name
from by_cp.replay.whatif import Policies, Report, WhatIf

Texts = Annotated[list[str] | None, Parameter(negative=())]


def whatif(
    *,
    circuit_failures: int | None = None,
    circuit_window_ms: int | None = None,
    circuit_open_ms: int | None = None,
    circuit_probes: int | None = None,
    quota: Texts = None,
    rate: Texts = None,
    depth: Texts = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Show what other policies would have made of the recorded traffic.

    It changes nothing. Who was online and how wakes came out is taken as it was; of a call that
    was rejected then and would not be, nobody knows how it would have come out.

    Example: `by-cp whatif --circuit-failures 3 --quota acme=50`

    Exit codes: 0 done, whatever would have changed; 1 an error; 2 wrong usage; 130
    interrupted.

    Args:
        circuit_failures: A circuit opens after so many failed wakes within its window; 0 is never.
        circuit_window_ms: How long that window is.
        circuit_open_ms: For so long it stays open the first time.
        circuit_probes: So many wakes may probe it at once.
        quota: TENANT=COUNT: so many commands in flight; -1 is any number. May be repeated.
        rate: TENANT=COUNT/PERIOD_MS/BURST: so many calls in so long, so many at once.
        depth: AGENT_TYPE=COUNT: so many commands held; -1 is any number.
        as_json: Print one JSON document.
        url: The server.

    """
    asked = {
        "failures_max": circuit_failures,
        "window_ms": circuit_window_ms,
        "open_ms": circuit_open_ms,
        "probes_max": circuit_probes,
    }
    policies = Policies(
        circuit={name: _count(name, value) for name, value in asked.items() if value is not None},
        quotas=_pairs("--quota", quota, _limit),
        rates=_pairs("--rate", rate, _rate),
        depths=_pairs("--depth", depth, _limit),
    )
    seen = WhatIf(policies)
    with (
        told_if_interrupted(lambda: "not all of the log was replayed; nothing was changed"),
        closing(raw_log_at(server_url(url))) as log,
        progress("replaying", None, "events", shown=not as_json) as advance,
        without_gc(),
    ):
        for entries in decoded(log.pages()):
            seen.see(entries)
            advance(len(entries))
    report = seen.finish()
    if as_json:
        show_json({"changed": report.changed} | msgspec.to_builtins(report))
    else:
        _show(report)
    return 0


def _show(report: Report) -> None:
    console = Console(highlight=False)
    console.print(f"{report.requests:,} requests in {report.events:,} events replayed")
    if report.circuits_opened or report.circuits_would_open:
        console.print(
            f"circuits opened {report.circuits_opened:,} times; "
            f"they would have opened {report.circuits_would_open:,} times"
        )
    if not report.changed:
        console.print("[bold]no difference[/]: every request would have come out the same")
        return
    columns = (Column("Requests", right=True), "Came out", "Would have come out")
    console.print(table(columns, ((d.count, d.was, d.would_be) for d in report.differences)))
    for difference in report.differences:
        console.print(f"\n{difference.was} → {difference.would_be}, for example:")
        for example in difference.examples:
            tenant = f", tenant {example.user_code!r}" if example.user_code else ""
            console.print(f"  {example.execution_id}", markup=False)
            console.print(f"    {example.agent_type!r}{tenant}", markup=False)
            if example.reason:
                console.print(f"    {example.reason}", markup=False)


def _pairs(flag: str, texts: Iterable[str] | None, read: Callable[[str], Any]) -> dict[str, Any]:
    """Read NAME=VALUE texts; a name may have `=`s of its own."""
    found = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=")
        if not equals:
            raise InvalidInput(f"{flag} takes NAME=VALUE, not {text!r}")
        try:
            found[check_name(flag, name)] = read(value)
        except ValueError as error:
            raise InvalidInput(f"{flag} {text!r}: {error}") from error
    return found


def _limit(text: str) -> int:
    limit = int(text)
    if limit < -1:
        raise ValueError("the least is -1, which is no limit")
    return limit


def _rate(text: str) -> tuple[int, int, int]:
    parts = [int(part) for part in text.split("/")]
    if len(parts) != 3 or min(parts) < 1:  # noqa: PLR2004 - as many as the usage names
        raise ValueError("it takes COUNT/PERIOD_MS/BURST, each 1 or more")
    return parts[0], parts[1], parts[2]


def _count(name: str, value: int) -> int:
    if value < 0:
        raise InvalidInput(f"{name} must be 0 or more, not {value}")
    return value
