"""`by-cp circuits`: how they stand; forced by hand; when they act by themselves."""

from __future__ import annotations

from enum import StrEnum

from cyclopts import App
from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.durations import Duration, Lasting
from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, Watch, look_at
from by_cp.cli.running import AsJson, Url, help_of_group
from by_cp.cli.tables import Cell, about, explained, marked, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.replay.durations import lasting
from by_cp.views import OURS, THEIRS, Circuit
from by_cp.vocabulary import CIRCUIT_POLICY

circuits = App(
    name="circuits",
    help=help_of_group(
        "Show how the circuits stand; force one; set when they open.", "circuits --watch"
    ),
)


class Force(StrEnum):
    """How a circuit is held."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    AUTO = "AUTO"


@circuits.default
def show(*, as_json: AsJson = False, watch: Watch = False, url: Url = None) -> int:
    """List the circuits that have failed, opened, or have a policy of their own.

    With a mark: those that somebody else holds open, at by-framework's key.

    Example: `by-cp circuits --watch`

    Exit codes: 0 listed; 1 an error; 2 wrong usage; 130 Ctrl-C.

    Args:
        as_json: Print one JSON document.
        watch: Show it again every second.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        found = await plane.views.circuits()
        columns = (
            Column("Agent type", long=True),
            "Circuit",
            Column("Failed", right=True),
            "Tries again",
            Column("Reason", long=True),
        )
        grid = explained(table(columns, map(_cells, found)), (c.origin for c in found))
        hint = "No wake has failed, and no policy is set: all circuits are closed."
        return Look(found, or_hint(grid, len(found), hint))

    return look_at(look, url, as_json=as_json, watch=watch)


@circuits.command
def force(
    agent_type: str,
    state: Force,
    *,
    reason: str = "",
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Hold a circuit open or closed, or let it act by itself again.

    Example: `by-cp circuits force summarizer open --reason 'broken image'`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type.
        state: open rejects all calls that need a wake, closed lets all through; auto closes it,
            and lets it act by itself from then on.
        reason: Why; callers are told.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        await plane.operate.force_circuit(agent_type, state.value, reason, who(by))
        stands = await plane.views.circuit(agent_type)
        return Look(stands, Text(_sentence(stands)))

    return look_at(look, url, as_json=as_json)


@circuits.command
def policy(
    agent_type: str = "",
    *,
    failures: int = CIRCUIT_POLICY["failures_max"],
    window: Lasting = Duration(milliseconds=CIRCUIT_POLICY["window_ms"]),
    open_for: Lasting = Duration(milliseconds=CIRCUIT_POLICY["open_ms"]),
    probes: int = CIRCUIT_POLICY["probes_max"],
    probe_for: Lasting = Duration(milliseconds=CIRCUIT_POLICY["probe_ms"]),
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Set when circuits open and close by themselves.

    Example: `by-cp circuits policy summarizer --failures 3 --window 5m`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type; without one, all that have no policy of their own.
        failures: It opens when so many wakes failed within the window; 0 is never.
        window: The window, such as 30s or 5m.
        open_for: For so long it stays open the first time.
        probes: So many wakes at once may probe it while it is half-open.
        probe_for: After so long a probe that has not come out is given up.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        told = {
            "failures_max": failures,
            "window_ms": window.ms,
            "open_ms": open_for.ms,
            "probes_max": probes,
            "probe_ms": probe_for.ms,
        }
        await plane.operate.set_circuit_policy(agent_type, **told, by=who(by))
        whose = f"The circuit of {plain(agent_type)}" if agent_type else "A circuit"
        within = f"opens after {failures} failed wakes within {lasting(told['window_ms'])}"
        stays = f", for {lasting(told['open_ms'])} at first"
        said = f"{whose} {within}{stays}." if failures else f"{whose} never opens by itself."
        return Look({"agent_type": agent_type, **told}, Text(said))

    return look_at(look, url, as_json=as_json)


def _sentence(circuit: Circuit) -> str:
    whose = f"The circuit of {plain(circuit.agent_type)}"
    if circuit.origin == THEIRS:
        key = plain(RedisKeys.control_plane_agent_circuit(circuit.agent_type))
        return f"{whose} stays {circuit.state}: so somebody else wrote at by-framework's key {key}."
    if circuit.forced:
        return f"{whose} is forced {circuit.state}."
    return f"{whose} is {circuit.state}. It acts by itself."


def _cells(circuit: Circuit) -> tuple[Cell, ...]:
    waits = circuit.retry_after_ms
    again = f"in {about(waits)}" if waits >= 0 else "-"
    forced = circuit.forced and circuit.origin == OURS
    state = marked(f"{circuit.state}, forced" if forced else circuit.state, circuit.origin)
    return (circuit.agent_type, state, circuit.failures, again, circuit.reason)
