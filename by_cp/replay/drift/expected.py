"""What the folded views say that the server must have: its rows, in its own form.

Rows that the server has as one hash are told as one here. An absent field is the same as its
default, so only what differs from it is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from by_cp.keys import unquote, wake_group
from by_cp.log.live import Expected, Hash
from by_cp.projections.rows import DeadLetterRow, ExecutionRow, PendingRow
from by_cp.projections.views import Views
from by_cp.statemachine.position import sort_key
from by_cp.statemachine.states import State

DEFAULTS: dict[str, Hash] = {
    "circuits": {
        "s": "CLOSED",
        "f": "0",
        "x": "0",
        "u": "0",
        "o": "0",
        "m": "RUNNING",
        "dl": "-1",
    },
    "quotas": {"l": "-1", "rc": "0", "rp": "0", "rb": "0", "t": "0", "d": "-1"},
}
"""View -> what it means that a field of its rows is absent; all others are empty."""


def differing(view: str, expected: Hash, found: Hash) -> dict[str, tuple[str, str]]:
    """Return the fields that differ: what is expected, what was found."""
    defaults = DEFAULTS.get(view, {})
    pairs = {
        name: (
            expected.get(name, defaults.get(name, "")),
            found.get(name, defaults.get(name, "")),
        )
        for name in {**expected, **found}
    }
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def line(row: ExecutionRow) -> bytes:
    """Return what a head must say, as `LiveRows.heads` has it."""
    return " ".join(
        (
            *(row.state, str(row.version), row.position, row.held_at),
            *("1" if row.charged else "", row.epoch, row.joined_at),
        )
    ).encode()


def asked(views: Views, row: ExecutionRow) -> Expected:
    """Return how to ask for all that the server has of an execution."""
    held = views.pending.get(row.execution_id)
    index = f"{held.rank:016d}/{sort_key(held.position)}/{row.execution_id}" if held else ""
    member = f"{sort_key(row.joined_at)}/{row.execution_id}" if row.joined_at else ""
    return Expected(row.execution_id, row.call, index, member)


def is_open(row: ExecutionRow) -> bool:
    """Whether the server must have more of it than its head, which may have expired."""
    return row.state not in {State.DELIVERED, State.REJECTED} or bool(row.held_at or row.joined_at)


def head(row: ExecutionRow) -> Hash:
    """Return the head's own fields."""
    return {
        "state": row.state.value,
        "version": str(row.version),
        "position": row.position,
        "held_at": row.held_at,
        "charged": "1" if row.charged else "",
        "epoch": row.epoch,
        "joined_at": row.joined_at,
    }


def execution(views: Views, row: ExecutionRow) -> Hash:
    """Return all that the server must have of an execution, but for its document."""
    fields = head(row)
    held = views.pending.get(row.execution_id)
    if held is not None:
        fields |= _held(held)
    dead = views.dead_letters.get(row.execution_id)
    if dead is not None:
        fields |= {"name_at": _number(dead.name_at), "name_size": _number(dead.name_size)}
    if row.charged:
        lease = views.quotas[row.call.user_code].leases[row.execution_id]
        fields["lease"] = str(lease) if lease else "inf"
    if row.joined_at:
        fields["member"] = str(-row.call.priority)
    return {name: text for name, text in fields.items() if text}


def _held(row: PendingRow) -> Hash:
    return {
        "deadline_ms": _number(row.deadline_ms),
        "expires_at_ms": _number(row.expires_at_ms),
        "not_before_ms": _number(row.not_before_ms),
        "rank": _number(row.rank),
        "name_at": _number(row.name_at),
        "name_size": _number(row.name_size),
        "index": str(-row.priority),
        "deadline": _number(row.due_ms),
    }


def _number(number: int) -> str:
    return str(number) if number else ""


def document(views: Views, row: ExecutionRow) -> PendingRow | DeadLetterRow | None:
    """Return whose command stands in the execution's document; None when it has none."""
    execution_id = row.execution_id
    return views.pending.get(execution_id) or views.dead_letters.get(execution_id)


def row_of(views: Views, view: str, key: str) -> Hash:
    """Return a row as the server must have it; empty when it must have none."""
    return {name: text for name, text in _ROWS[view](views, key) if text}


def _circuit(views: Views, key: str) -> Iterator[tuple[str, str]]:
    circuit, agent = views.circuits.get(key), views.agents.get(key)
    policy = views.circuit_policies.get(key)
    if circuit is not None:
        permits = ",".join(f"{wake}={until_ms}" for wake, until_ms in circuit.permits.items())
        yield from zip(
            ("s", "f", "e", "r", "p", "x", "u", "o", "k", "b"),
            (
                *(circuit.state, str(circuit.failures), circuit.epoch, circuit.reason),
                *(circuit.position, "1" if circuit.forced else "0", str(circuit.until_ms)),
                *(str(circuit.opens), ",".join(map(str, circuit.struck_ms)), permits),
            ),
            strict=True,
        )
    if agent is not None:
        yield from (("m", agent.mode), ("mr", agent.reason), ("mp", agent.position))
        yield ("dl", str(agent.depth_max))
    if policy is not None:
        yield from zip(
            ("cf", "cw", "co", "cn", "ct", "cp"),
            (
                *(str(policy.failures_max), str(policy.window_ms), str(policy.open_ms)),
                *(str(policy.probes_max), str(policy.probe_ms), policy.position),
            ),
            strict=True,
        )


def _quota(views: Views, key: str) -> Iterator[tuple[str, str]]:
    row = views.quotas.get(key)
    if row is not None:
        yield from (("l", str(row.limit)), ("p", row.position), ("rc", str(row.rate_count)))
        yield from (("rp", str(row.rate_period_ms)), ("rb", str(row.rate_burst)))
        yield from (("t", str(row.rate_tat_us)), ("d", str(row.depth_max)))


def _availability(views: Views, key: str) -> Iterator[tuple[str, str]]:
    row = views.availability.get(key)
    if row is not None:
        yield from (("s", row.state), ("e", row.epoch), ("p", row.position))


def _fallback(views: Views, key: str) -> Iterator[tuple[str, str]]:
    row = views.fallbacks.get(key)
    if row is not None:
        yield from (("t", row.selected), ("p", row.position))


def _wake(views: Views, key: str) -> Iterator[tuple[str, str]]:
    agent_type, user_code, region = (*(unquote(part) for part in key.split(":")), "", "")[:3]
    row = views.wakes.get((agent_type, user_code, region))
    if row is not None:
        yield from (("w", row.wake), ("l", row.leader), ("u", str(row.until_ms)))
        yield from (("t", row.epoch), ("n", str(row.attempt)), ("p", row.position))


_ROWS = {
    "circuits": _circuit,
    "quotas": _quota,
    "availability": _availability,
    "fallbacks": _fallback,
    "wakes": _wake,
}


def keys(views: Views) -> set[tuple[str, str]]:
    """Return (view, key) of all rows that the server must have beside executions."""
    found = {("circuits", key) for key in (*views.circuits, *views.agents, *views.circuit_policies)}
    found |= {("quotas", key) for key in views.quotas}
    found |= {("availability", key) for key in views.availability}
    found |= {("fallbacks", key) for key in views.fallbacks}
    return found | {("wakes", wake_group(*group)) for group in views.wakes}
