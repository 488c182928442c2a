"""Do the live rows say what the log says? Every row is compared, while the system works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct, field

from by_cp.log.live import POSITIONS, Expected, Hash, LiveRows, Stray
from by_cp.projections.rows import ExecutionRow
from by_cp.projections.views import Views
from by_cp.replay.drift import expected as law
from by_cp.replay.drift.comparing import compare
from by_cp.replay.drift.folding import Folding, Progress
from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position

HEADS = 200
"""Heads that are looked at in one call: the server does nothing else meanwhile."""
CLOSER = 50
ROWS = 100
STRAYS = 100

NO_CALL = Call("", "", "", "", 0, 0, "", "", "", "")
T = TypeVar("T")


class Difference(Struct):
    """One row that is not as the log says."""

    view: str
    """`executions` (with all that belongs to one), `circuits` (with agents and policies), `quotas`,
    `availability`, `fallbacks`, `wakes`, `depth`, or `strays`: entries of indexes."""
    key: str
    fields: dict[str, tuple[str, str]]
    """Field -> what the log says, what was found; "" is: not there."""
    compared: dict[str, str] = field(default_factory=dict)
    """The positions that the row had, in its own form: they guard its repair."""
    stray: Stray | None = None


class Verdict(Struct):
    """What was found."""

    position: Position = ""
    """How far the log had gone at the end."""
    events: int = 0
    rows: int = 0
    """How many rows were compared."""
    differences: list[Difference] = field(default_factory=list)


def verify(
    folding: Folding,
    live: LiveRows,
    *,
    known: Iterable[str],
    others: Iterable[tuple[str, str]],
    indexes: Iterable[str],
    progress: Progress | None = None,
) -> Iterator[Difference]:
    """Compare every row, and give those that differ, each as soon as it is found.

    The log was folded to its end, and the folding has kept the heads of `known`. When a difference
    is given, the views are at the position at which it was found.

    Args:
        folding: the log, folded to the end.
        live: the server's rows.
        known: executions that have heads there.
        others: the other rows that are there.
        indexes: sorted sets that are there.
        progress: is told how many rows were compared.

    Raises:
        LogTrimmed: the log was trimmed faster than it was folded.
        ServerError: the server is away, or refuses.

    """
    told: Progress = progress or (lambda _: None)
    views = folding.views
    wanted = set(others) | law.keys(views)
    alive = {name for name, row in views.executions.items() if law.is_open(row)}
    yield from _executions(folding, live, sorted(alive.union(known)), told)
    yield from _rows(folding, live, sorted(wanted), told)
    for key in sorted(indexes):
        yield from _strays(folding, live, key, told)


def _executions(
    folding: Folding, live: LiveRows, ids: Sequence[str], told: Progress
) -> Iterator[Difference]:
    executions = folding.views.executions
    closer: list[str] = []
    for batch, position, lines in live.heads(_batches(ids, HEADS)):
        # The log may have been folded further meanwhile. What then seems to differ is looked at
        # closely, as all that does: nothing is told from this look alone.
        folding.advance(position)
        for execution_id, found in zip(batch, lines, strict=True):
            row = executions.get(execution_id)
            is_open = row is not None and law.is_open(row)
            if is_open or (found and (row is None or found != law.line(row))):
                closer.append(execution_id)
        told(len(batch))
        while len(closer) >= CLOSER:
            yield from closely(folding, live, closer[:CLOSER])
            del closer[:CLOSER]
    if closer:
        yield from closely(folding, live, closer)


def closely(
    folding: Folding, live: LiveRows, ids: Sequence[str], *, expired_too: bool = False
) -> Iterator[Difference]:
    """Compare executions with all that belongs to them.

    Args:
        folding: the log, which is folded on.
        live: the server's rows.
        ids: of the executions.
        expired_too: let a settled execution that has no head be a difference.

    """
    views = folding.views
    while True:
        asked = [_asked(views, execution_id) for execution_id in ids]
        position, found = live.executions(asked)
        folding.advance(position)
        # What was asked for depends on the views: ask again if they have moved on there.
        if asked == [_asked(views, execution_id) for execution_id in ids]:
            break
    for execution_id, one in zip(ids, found, strict=True):
        row = views.executions.get(execution_id)
        fields = compare(views, row, one, expired_too=expired_too)
        if fields:
            compared = {"p": one["position"]}
            yield Difference("executions", execution_id, fields, compared)


def _asked(views: Views, execution_id: str) -> Expected:
    row: ExecutionRow | None = views.executions.get(execution_id)
    return law.asked(views, row) if row is not None else Expected(execution_id, NO_CALL)


def _rows(
    folding: Folding, live: LiveRows, asked: Sequence[tuple[str, str]], told: Progress
) -> Iterator[Difference]:
    for batch in _batches(asked, ROWS):
        yield from rows(folding, live, batch)
        told(len(batch))
    position, _, depth = live.rows(())
    folding.advance(position)
    yield from _depth(folding.views, depth)


def rows(
    folding: Folding, live: LiveRows, asked: Sequence[tuple[str, str]]
) -> Iterator[Difference]:
    """Compare rows of anything but executions, each named by its view and its key."""
    position, found, _ = live.rows(asked)
    folding.advance(position)
    for (view, key), one in zip(asked, found, strict=True):
        expected = law.row_of(folding.views, view, key)
        seen = {} if view == "wakes" and "z" in one else one
        if fields := law.differing(view, expected, seen):
            compared = {name: one.get(name, "") for name in POSITIONS[view]}
            yield Difference(view, key, fields, compared)


def _depth(views: Views, found: Hash) -> Iterator[Difference]:
    expected = Counter(row.agent_type for row in views.pending.values())
    for agent_type in sorted(expected.keys() | found.keys()):
        pair = (str(expected[agent_type]), found.get(agent_type, "0"))
        if pair[0] != pair[1]:
            yield Difference("depth", agent_type, {"held": pair})


def _strays(folding: Folding, live: LiveRows, key: str, told: Progress) -> Iterator[Difference]:
    """Find entries of an index that no execution accounts for."""
    entries = live.entries(key)
    views = folding.views
    odd = [stray for stray in entries if not _is_accounted_for(views, stray, live)]
    for batch in _batches(odd, STRAYS):
        position, found = live.present(batch)
        folding.advance(position)
        for stray, (there, head_at) in zip(batch, found, strict=True):
            if there and not _is_accounted_for(views, stray, live):
                fields = {stray.entry: ("", "there")}
                yield Difference("strays", key, fields, {"p": head_at}, stray)
    told(len(entries))


def _is_accounted_for(views: Views, stray: Stray, live: LiveRows) -> bool:
    row = views.executions.get(stray.execution_id)
    return row is not None and stray in live.expected_entries(
        law.asked(views, row), views.pending.get(stray.execution_id), charged=row.charged
    )


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
