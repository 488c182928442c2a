"""`by-cp quotas`: what tenants use and may use."""

from __future__ import annotations

from cyclopts import App
from rich.console import RenderableType
from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.durations import Duration, Lasting
from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, Watch, look_at
from by_cp.cli.running import AsJson, Url, fail, help_of_group
from by_cp.cli.tables import Cell, explained, limit, marked, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.replay.durations import lasting
from by_cp.views import Quota

quotas = App(
    name="quotas",
    help=help_of_group("Show what tenants use and may use; set it.", "quotas --watch"),
)


@quotas.default
def show(*, as_json: AsJson = False, watch: Watch = False, url: Url = None) -> int:
    """List the tenants, what they have in flight, and their limits.

    With a mark: a quota that is used up as somebody else wrote at by-framework's key.

    Example: `by-cp quotas --watch`

    Exit codes: 0 listed; 1 an error; 2 wrong usage; 130 Ctrl-C.

    Args:
        as_json: Print one JSON document.
        watch: Show it again every second.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        found = await plane.views.quotas()
        hint = "No tenant has been seen. Set a quota with `by-cp quotas set TENANT --in-flight N`."
        return Look(found, or_hint(_grid(found), len(found), hint))

    return look_at(look, url, as_json=as_json, watch=watch)


@quotas.command(name="set")
def set_(
    tenant: str = "",
    *,
    in_flight: int | None = None,
    rate: int | None = None,
    per: Lasting = Duration(seconds=1),
    burst: int = 1,
    depth: int | None = None,
    agent_type: str | None = None,
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Set a tenant's limits; those that are not named stay as they are.

    Example: `by-cp quotas set acme --in-flight 50 --rate 100 --per 1m`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        tenant: The tenant.
        in_flight: So many commands in flight; -1 is any number.
        rate: So many calls in each period; 0 is any number.
        per: The period, such as 1s or 1m.
        burst: So many calls may come at once.
        depth: So many commands held; -1 is any number.
        agent_type: With --depth, and without a tenant: so many held for this agent type.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """
    if in_flight is rate is depth is None:
        return fail("nothing to set: name --in-flight, --rate or --depth", 2)
    if bool(tenant) == bool(agent_type):
        return fail("name either a tenant or, for its depth, an --agent-type", 2)
    if agent_type and not in_flight is rate is None:
        return fail("an agent type has a --depth only", 2)

    async def look(plane: ControlPlane) -> Look:
        operate, name = plane.operate, who(by)
        if in_flight is not None:
            await operate.set_quota(tenant, in_flight, name)
        if rate is not None:
            await operate.set_rate(tenant, rate, per.ms, burst, name)
        if depth is not None and agent_type:
            await operate.set_depth(depth, agent_type=agent_type, by=name)
            told = {"agent_type": agent_type, "depth_max": depth}
            return Look(told, Text(f"For {plain(agent_type)} {_at_most(depth)} may be held."))
        if depth is not None:
            await operate.set_depth(depth, user_code=tenant, by=name)
        quota = await plane.views.quota(tenant)
        return Look(quota, _grid([quota]))

    return look_at(look, url, as_json=as_json)


def _grid(found: list[Quota]) -> RenderableType:
    columns = (
        Column("Tenant", long=True),
        Column("In flight", right=True),
        Column("At most", right=True),
        Column("Held at most", right=True),
        Column("Rate", long=True),
        Column("Used up", long=True),
    )
    return explained(table(columns, map(_cells, found)), (quota.origin for quota in found))


def _cells(quota: Quota) -> tuple[Cell, ...]:
    return (
        *(quota.user_code, quota.in_flight, limit(quota.in_flight_max), limit(quota.depth_max)),
        *(_rate(quota), marked(quota.used_up, quota.origin)),
    )


def _rate(quota: Quota) -> str:
    if not quota.rate_count:
        return "-"
    burst = f", {quota.rate_burst:,} at once" if quota.rate_burst > 1 else ""
    return f"{quota.rate_count:,} in {lasting(quota.rate_period_ms)}{burst}"


def _at_most(depth: int) -> str:
    return "any number" if depth < 0 else f"at most {depth:,}"
