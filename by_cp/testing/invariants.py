"""What holds of every log, whichever store has it, as functions that raise AssertionError.

They look only at what `Store.read()` and `Store.views()` give. Those of the second part hold of
logs that were written through by-cp's own commands; whoever uses `Append` may break them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from by_cp.log.breaker import policy_of
from by_cp.projections.folding import apply, fold
from by_cp.projections.rows import NO_LIMIT, ExecutionRow
from by_cp.projections.views import Views, initial
from by_cp.statemachine.events import (
    Delivered,
    Event,
    ExecutionEvent,
    Held,
    Redriven,
    Rejected,
    WakeRequested,
)
from by_cp.statemachine.position import BEGINNING, Position, split, time_ms
from by_cp.statemachine.states import State
from by_cp.vocabulary import ErrorCode

Entries = Sequence[tuple[Position, Event]]
"""A whole log, from its beginning."""


def require(condition: object, broken: str) -> None:
    """Raise an AssertionError that says what is broken, unless the condition holds."""
    if not condition:
        raise AssertionError(broken)


# --- Of every log ---------------------------------------------------------------------------------


def positions_increase(entries: Entries) -> None:
    """Each entry stands after the one before it."""
    last = BEGINNING
    for position, event in entries:
        require(split(position) > split(last), f"{event.name} at {position} follows {last}")
        last = position


def versions_count_from_one(entries: Entries) -> None:
    """An execution's events are numbered 1, 2, 3 and so on."""
    seen: Counter[str] = Counter()
    for position, event in entries:
        if isinstance(event, ExecutionEvent):
            seen[event.execution_id] += 1
            expected = seen[event.execution_id]
            require(
                event.version == expected,
                f"{event.name} at {position} has version {event.version}, not {expected}",
            )


def views_are_the_fold(entries: Entries, views: Views) -> None:
    """The views say what the log says, and nothing else."""
    folded = fold(entries)
    for name in Views.__struct_fields__:
        live, replayed = getattr(views, name), getattr(folded, name)
        for key in live.keys() | replayed.keys():
            require(
                live.get(key) == replayed.get(key),
                f"{name}[{key!r}] is {live.get(key)}, but the log says {replayed.get(key)}",
            )


def quotas_count_what_is_charged(views: Views) -> None:
    """A tenant has a lease for each execution that is charged to it, and for no other."""
    charged: dict[str, set[str]] = {}
    for row in views.executions.values():
        if row.charged:
            charged.setdefault(row.call.user_code, set()).add(row.execution_id)
    for user_code in charged.keys() | views.quotas.keys():
        quota = views.quotas.get(user_code)
        leased = set(quota.leases) if quota else set()
        expected = charged.get(user_code, set())
        require(
            leased == expected and (quota is None or quota.in_flight == len(leased)),
            f"tenant {user_code!r} has leases for {leased}, but charged are {expected}",
        )


def every_wake_has_an_end(views: Views) -> None:
    """Who waits for a wake stands in its group's claim, or can be roused: it is held."""
    for row in views.wake_members.values():
        held = row.execution_id in views.pending
        require(held or row.group in views.wakes, f"{row} waits, and nothing will end that")


def probes_are_few(entries: Entries) -> None:
    """No wake gets a permit of a half-open circuit while as many hold one as its policy allows."""
    views = initial()
    for position, event in entries:
        if isinstance(event, WakeRequested) and event.permit_until_ms:
            head = views.executions[event.execution_id]
            agent_type = head.call.agent_type
            row, policy = views.circuits[agent_type], policy_of(views, agent_type)
            now_ms = time_ms(position)
            held = sum(1 for until_ms in row.permits.values() if until_ms > now_ms)
            require(held < policy.probes_max, f"{held} probes hold a permit at {position}")
        apply(views, event, position)


def in_flight_within_limits(entries: Entries) -> None:
    """At no position of the log is more leased to a tenant than its limit at that time allows.

    A limit that is lowered takes nothing back: only what is leased from then on must fit. What a
    foreign client was promised is held whatever the limit.
    """
    views = initial()
    for position, event in entries:
        apply(views, event, position)
        if isinstance(event, Held):
            call = views.executions[event.execution_id].call
            quota = views.quotas.get(call.user_code)
            if quota is not None and quota.limit != NO_LIMIT and not call.origin:
                used = quota.used(time_ms(position))
                require(used <= quota.limit, f"{used} of {quota.limit} in flight at {position}")


def delivered_at_most_once_a_life(entries: Entries) -> None:
    """A command is delivered once; only a redrive gives it another life."""
    delivered: Counter[str] = Counter()
    for position, event in entries:
        match event:
            case Delivered():
                delivered[event.execution_id] += 1
                require(
                    delivered[event.execution_id] == 1,
                    f"execution {event.execution_id!r} is delivered again at {position}",
                )
            case Redriven():
                delivered[event.execution_id] = 0


def what_is_delivered_is_there(entries: Entries, delivered: Sequence[tuple[str, str]]) -> None:
    """The control streams have what the log says, each once, and nothing else.

    `delivered` is what stands in them, as (agent type, execution_id); "" resumes an agent.
    """
    said = Counter(
        (event.agent_type, event.execution_id)
        for _, event in entries
        if isinstance(event, Delivered) and not event.handed_over
    )
    done = Counter(delivery for delivery in delivered if delivery[1])
    require(said == done, f"the log says {said}, the control streams have {done}")


# --- Of logs that were written without Append -----------------------------------------------------


def quotas_count_what_is_held(views: Views) -> None:
    """In flight is what by-cp holds, no more and no less."""
    quotas_count_what_is_charged(views)
    held = Counter(row.user_code for row in views.pending.values() if row.user_code)
    for user_code in held.keys() | views.quotas.keys():
        row = views.quotas.get(user_code)
        in_flight = row.in_flight if row else 0
        require(
            in_flight == held[user_code],
            f"tenant {user_code!r} has {in_flight} in flight, but {held[user_code]} are held",
        )


def nothing_accepted_is_lost(entries: Entries, views: Views) -> None:
    """What was accepted is pending, delivered, rejected to who waits for it, or buried whole."""
    held: dict[str, Held] = {}
    cancelled: set[str] = set()
    for _, event in entries:
        if isinstance(event, Held):
            held[event.execution_id] = event
        elif isinstance(event, Rejected) and event.code == ErrorCode.EXECUTION_CANCELLED:
            cancelled.add(event.execution_id)
    for execution_id, head in views.executions.items():
        if execution_id not in cancelled:
            _not_lost(head, held.get(execution_id), views)


def _not_lost(head: ExecutionRow, held: Held | None, views: Views) -> None:
    execution_id = head.execution_id
    what = f"execution {execution_id!r}, {head.state},"
    match head.state:
        case State.DELIVERED:
            pass
        case State.REJECTED:
            waited_for = held is None or held.deadline_ms
            require(waited_for, f"{what} was held, nobody waits for it, and it is not buried")
        case State.DEADLETTER:
            buried = views.dead_letters.get(execution_id)
            require(buried, f"{what} is not in the dead letters")
            command = buried.command if buried else ""
            require(held is None or command == held.command, f"{what} is buried without command")
        case _:
            pending = views.pending.get(execution_id)
            require(held and pending, f"{what} is not pending")
            same = held and pending and held.command == pending.command
            require(same, f"{what} is pending with another command")
    if head.state in (State.DELIVERED, State.REJECTED, State.DEADLETTER):
        require(execution_id not in views.pending, f"{what} is still pending")
    if head.state != State.DEADLETTER:
        require(execution_id not in views.dead_letters, f"{what} is in the dead letters")
