"""`by-cp redrive`: dead letters get another life, one or many."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Group
from rich.text import Text

from by_cp.cli.asking import By, Yes, may, who
from by_cp.cli.bulk import STOPPED, to_each
from by_cp.cli.deadletters import AgentType, Reason, Since, Tenant, Until, filter_of
from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, show
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, fail, run, server_url
from by_cp.cli.tables import counted, lines, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.deadletters import CONCURRENCY, Filter, Many, Progress, Redriven
from by_cp.errors import TransitionError
from by_cp.statemachine.states import State

LEFT = 3
"""Exit code when some were left as they are."""


def redrive(
    *execution_ids: str,
    every: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    agent_type: AgentType = None,
    tenant: Tenant = None,
    reason: Reason = "",
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    rate: float | None = None,
    concurrency: int = CONCURRENCY,
    yes: Yes = False,
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Redrive dead letters: those that are named, or all that a filter means.

    One that is redriven twice is redriven once: the second time it is told where it stands. What
    cannot be redriven now, because a circuit is open, a quota is used up or an agent type drained,
    stays a dead letter. Interrupted with Ctrl-C, it tells what it has done; the rest stays.

    Example: `by-cp redrive --agent-type summarizer --since 2h --rate 100`

    Exit codes: 0 redriven, or it had been before; 3 some were left as they are; 1 an error;
    2 wrong usage; 130 Ctrl-C.

    Args:
        execution_ids: The executions, as `by-cp deadletters` lists them.
        every: All dead letters.
        agent_type: Of this agent type alone.
        tenant: Of this tenant alone.
        reason: Whose reason contains this.
        since: Buried no longer ago than this.
        until: Buried at least as long ago as this.
        dry_run: Only say how many there are.
        rate: So many in a second at most.
        concurrency: So many at a time.
        yes: Do not ask.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """
    filtered = any((agent_type, reason, since, until)) or tenant is not None
    if bool(execution_ids) + filtered + every != 1:
        return fail("name executions, or a filter such as --agent-type, or --all: one of them", 2)

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            if execution_ids and not dry_run:
                return await _named(plane, execution_ids, who(by), as_json=as_json)
            if execution_ids:
                letters = [await plane.dead_letters.show(e) for e in execution_ids]
                dead = sum(letter.state == State.DEADLETTER for letter in letters)
                show(_dry(dead), as_json=as_json)
                return 0
            now_ms = await plane.store.now_ms()
            which = filter_of(now_ms, agent_type, tenant, reason, since, until)
            count = await plane.dead_letters.count(which)
            if dry_run:
                show(_dry(count), as_json=as_json)
                return 0
            if count and not await may(f"Redrive {_letters(count)}", yes=yes):
                return fail("nothing was done")
            bulk = _Bulk(plane, which, who(by), rate, concurrency)
            return await bulk.run(count, as_json=as_json)

    return run(work())


async def _named(plane: ControlPlane, ids: tuple[str, ...], by: str, *, as_json: bool) -> int:
    done: list[Redriven] = []
    try:
        await to_each(ids, partial(_one, plane, by=by), done)
    except STOPPED:
        count, left = sum(one.done for one in done), len(ids) - len(done)
        said = f"Interrupted: {count:,} redriven, {left:,} left as they were."
        show(Look([one._asdict() for one in done], said), as_json=as_json)
        raise
    columns = (Column("Execution", whole=True), "Redriven", "State", Column("Why not", long=True))
    cells = ((o.execution_id, "yes" if o.done else "no", o.state or "-", o.why) for o in done)
    show(Look([one._asdict() for one in done], table(columns, cells)), as_json=as_json)
    return LEFT if any(one.state in ("", State.DEADLETTER) for one in done) else 0


async def _one(plane: ControlPlane, execution_id: str, by: str) -> Redriven:
    try:
        return await plane.dead_letters.redrive(execution_id, by)
    except TransitionError as error:
        head = await plane.views.execution(execution_id)
        return Redriven(execution_id, done=False, state=head.state if head else "", why=str(error))


class _Bulk:
    """A redrive of many that tells how far it is, and how far it came if it is interrupted."""

    def __init__(
        self, plane: ControlPlane, which: Filter, by: str, rate: float | None, concurrency: int
    ) -> None:
        self._plane = plane
        self._which = which
        self._by = by
        self._rate = rate
        self._concurrency = concurrency
        self._last = Progress()

    async def run(self, count: int, *, as_json: bool) -> int:
        """Do it, and return the exit code."""
        try:
            with progress("redriving", count, "dead letters", shown=not as_json) as advance:

                def on_progress(now: Progress) -> None:
                    advance(now.done - self._last.done)
                    self._last = now

                many = await self._plane.dead_letters.redrive_many(
                    self._which,
                    by=self._by,
                    rate_per_s=self._rate,
                    concurrency=self._concurrency,
                    on_progress=on_progress,
                )
        except STOPPED:  # told when the bar is gone: that takes a line with it
            show(_told(Many(self._last, {}), interrupted=True), as_json=as_json)
            raise
        show(_told(many, interrupted=False), as_json=as_json)
        return LEFT if many.progress.refused else 0


def _dry(count: int) -> Look:
    return Look({"would_redrive": count}, Text(f"{_letters(count)}; nothing was done."))


def _letters(count: int) -> str:
    return counted(count, "dead letter", "dead letters")


def _told(many: Many, *, interrupted: bool) -> Look:
    done = many.progress
    told: dict[str, Any] = {"redriven": done.redriven, **done._asdict()}
    told |= {"refusals": many.refusals, "interrupted": interrupted}
    if not done.done and not interrupted:
        return Look(told, "No such dead letter; nothing was done.")
    pairs = [
        ("redriven", f"{done.redriven:,}: {done.delivered:,} delivered, {done.held:,} held again"),
        ("left", f"{done.refused:,} that cannot be redriven now"),
    ]
    pairs += [("", f"{count:,}: {plain(why)}") for why, count in sorted(many.refusals.items())]
    if done.gone:
        pairs.append(("gone", f"{done.gone:,} that were no dead letters any more"))
    grid = lines(pairs)
    if not interrupted:
        return Look(told, grid)
    return Look(told, Group(Text("Interrupted; the rest is as it was.", "yellow"), grid))
