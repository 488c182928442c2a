"""What differs is put right, and nothing else, while the system works.

Each row is put back only if it is still as it was when it was compared: every event that changes a
row leaves its position there. A row that has moved on is compared again in the next round; a round
that finds nothing to do is the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from by_cp.log.live import Head, LiveRows, Names
from by_cp.log.rawlog import Pages, decoded
from by_cp.projections.rows import ExecutionRow
from by_cp.replay.drift import expected as law
from by_cp.replay.drift.checking import Watch, differences
from by_cp.replay.drift.folding import PAGE, Folding
from by_cp.replay.drift.restoring import head_of
from by_cp.replay.drift.verifying import NO_CALL, Difference, closely, rows
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import Position, time_ms

ROUNDS_MAX = 20
"""Rows that change as fast as they are compared are left as they are after so many rounds."""
TRIES_MAX = 100
"""So often at once a row is put back that has moved on each time; then in the next round again."""
HISTORIES_MAX = 50_000
"""Of so many executions the histories are kept in memory at once; for each, the log is read."""
BATCH = 20
"""Heads that are put back in one round trip."""
EXPIRING_MS = 60_000
"""A settled head that would expire so soon is not put back."""


class Rebuilt(Struct):
    """What was done."""

    position: Position = ""
    """How far the log had gone at the end."""
    events: int = 0
    changed: list[Difference] = field(default_factory=list)
    """What differed, and was put right."""
    left: int = 0
    """How many rows differed in the last round; 0 unless there were too many rounds."""


def rebuild(
    folding: Folding,
    names: Names,
    live: LiveRows,
    log: Pages,
    *,
    retention_ms: int,
    watch: Watch | None = None,
    rebuilt: Rebuilt | None = None,
) -> Rebuilt:
    """Put right all rows that are not as the log says.

    Args:
        folding: the log, folded to its end, nothing forgotten.
        names: which rows there are.
        live: the server's rows.
        log: all of it.
        retention_ms: how long heads of settled executions are kept.
        watch: is told of the progress.
        rebuilt: what is returned; whoever gives it can see what was done when that is interrupted.

    Raises:
        LogTrimmed: the log was trimmed meanwhile.
        ServerError: the server is away, or refuses.

    """
    watch = watch or Watch()
    rebuilt = Rebuilt() if rebuilt is None else rebuilt
    for _ in range(ROUNDS_MAX):
        executions: list[str] = []
        rebuilt.left = 0
        for one in differences(folding, live, names, watch):
            if one.view == "executions":
                executions.append(one.key)
                continue
            rebuilt.left += 1
            if _put_back(folding, live, one):
                rebuilt.changed.append(one)
        executions += _lost(folding, names, live.now_ms() - retention_ms + EXPIRING_MS)
        for begin in range(0, len(executions), HISTORIES_MAX):
            wanted = executions[begin : begin + HISTORIES_MAX]
            folding.histories = _histories(log, wanted, folding.position)
            _heads(folding, live, wanted, retention_ms, rebuilt)
            folding.histories = {}
        if not rebuilt.left:
            break
        names = live.names()
    rebuilt.position, rebuilt.events = folding.position, folding.events
    return rebuilt


def _put_back(folding: Folding, live: LiveRows, one: Difference) -> bool:
    """Put back a row of anything but an execution."""
    if one.stray is not None:
        return live.discard(one.stray, one.compared["p"])
    if one.view == "depth":
        expected, found = one.fields["held"]
        live.install_depth(one.key, int(expected) - int(found))
        return True
    again: Difference | None = one
    for _ in range(TRIES_MAX):  # a row that is used much has soon moved on
        if again is None:
            return False
        fields = law.row_of(folding.views, one.view, one.key)
        if live.install_row(one.view, one.key, again.compared, fields):
            return True
        again = next(rows(folding, live, [(one.view, one.key)]), None)
    return False


def _lost(folding: Folding, names: Names, since_ms: int) -> list[str]:
    """Return settled executions that had no head, although it would not have expired yet."""
    return [
        execution_id
        for execution_id, row in folding.views.executions.items()
        if execution_id not in names.executions
        and not law.is_open(row)
        and time_ms(row.position) > since_ms
    ]


def _histories(
    log: Pages, wanted: Iterable[str], until: Position
) -> dict[str, list[tuple[Position, Event]]]:
    """Read again what the log says of some executions."""
    found: dict[str, list[tuple[Position, Event]]] = {name: [] for name in wanted}
    for page in decoded(log.pages(until=until, count=PAGE)):
        for position, event in page:
            history = found.get(getattr(event, "execution_id", ""))
            if history is not None:
                history.append((position, event))
    return found


def _heads(
    folding: Folding, live: LiveRows, wanted: Sequence[str], retention_ms: int, rebuilt: Rebuilt
) -> None:
    """Put heads back, each compared again right before."""
    for begin in range(0, len(wanted), BATCH):
        batch = wanted[begin : begin + BATCH]
        found = list(closely(folding, live, batch, expired_too=True))
        heads = [_head(folding, one, retention_ms) for one in found]
        done = live.install(heads)
        rebuilt.left += len(found)
        rebuilt.changed += [one for one, put in zip(found, done, strict=True) if put]


def _head(folding: Folding, one: Difference, retention_ms: int) -> Head:
    row: ExecutionRow | None = folding.views.executions.get(one.key)
    if row is None:
        return Head(one.key, NO_CALL, one.compared["p"], {})
    history = folding.histories.get(one.key, [])
    until_ms = time_ms(row.position) + retention_ms
    return head_of(folding.views, row, history, one.compared["p"], until_ms)
