"""`ControlPlaneMachine`: Hypothesis drives the control plane through random lives.

Each rule is what one of the participants may do at any time: a caller, a worker, the manager, the
gate, the sweeper, an operator, time. After each, the invariants are checked. Your subclass replaces
`provider`, and adds rules and invariants of its own.

House rules: a rule changes the log through `execute` alone, because that checks what must hold of
every command; what happened is kept as plain data that invariants read, and nothing in here draws
from any other source than Hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from hypothesis.strategies import SearchStrategy

from by_cp.errors import FallbackRefused, TransitionError
from by_cp.log.answers import Answer, Attempted
from by_cp.log.commands import (
    Adopt,
    Attempt,
    Cancel,
    Command,
    Configure,
    GiveUp,
    Mature,
    Member,
    Redrive,
    Release,
    Request,
    Rouse,
    Settle,
    Sweep,
)
from by_cp.log.commandtext import CommandText, cut
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.log.memory.world import Signal
from by_cp.projections import pending, wakes
from by_cp.projections.rows import NO_LIMIT
from by_cp.statemachine.events import (
    BecameReady,
    Call,
    FallbackSet,
    SystemEvent,
)
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import State
from by_cp.testing import invariants
from by_cp.testing.drawing import (
    BY_HAND,
    PAYLOADS,
    calls_of,
    drawn,
    foreign_calls_of,
    one_of,
    settings_of,
)
from by_cp.testing.invariants import require
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

A = TypeVar("A")

_PROGRESS = (WakeupDecisionStatus.STARTING, WakeupDecisionStatus.QUEUED)


class Readiness(NamedTuple):
    """A command that became ready, and who was online at that moment."""

    event: BecameReady
    workers_online: tuple[str, ...]


class ControlPlaneMachine(RuleBasedStateMachine):
    """The control plane in memory, on a clock that the machine moves.

    `log` is the log, with its `entries`, `views` and `world`; `clock` is its clock. `executed` has
    every accepted command with its answer, `became_ready` every command that became ready with the
    workers that were online then. Rules that take an execution draw it from `executions`.
    """

    agent_types: ClassVar[Sequence[str]] = ("chat", "a:b {c}")
    """Agent types that are asked for. Few, so that executions meet one another."""
    tenants: ClassVar[Sequence[str]] = ("", "acme")
    regions: ClassVar[Sequence[str]] = ("", "eu")
    lease_ms: ClassVar[int] = 15_000
    """For so long a worker is online, unless it leaves before."""

    executions: Bundle[str] = Bundle("executions")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.log = MemoryLog(self.clock)
        self.executed: list[tuple[Command[Any], Any]] = []
        self.became_ready: list[Readiness] = []
        self.open_wakes: list[Signal] = []
        """Wakes that the manager was asked for and has not finished."""
        self.attempts: list[tuple[Signal, Position]] = []
        """Every attempt that began, with its epoch."""
        self.workers: list[str] = []
        """Every worker that ever came online."""
        self._commands: dict[str, CommandText] = {}
        self._signals_seen = 0

    # --- For your subclass ------------------------------------------------------------------------

    def provider(self, request: WakeupRequest) -> WakeupDecision:
        """Answer a wake. Replace it with yours; this one starts a worker and says READY."""
        worker_id = self.start_worker(request.target_agent_type)
        return WakeupDecision(status=WakeupDecisionStatus.READY, worker_ids=[worker_id])

    def start_worker(self, agent_type: str) -> str:
        """Let a new worker come online and return its id."""
        worker_id = f"worker-{len(self.workers) + 1}"
        self.workers.append(worker_id)
        self.log.world.announce(worker_id, (agent_type,), self.lease_ms)
        return worker_id

    def stop_worker(self, worker_id: str) -> None:
        """Let a worker go, cleanly."""
        self.log.world.retire(worker_id)

    def write_by_hand(self, kind: str, name: str, text: str | None) -> None:
        """Write a circuit, quota or fallback as somebody else may; None removes it."""
        if text is None:
            self.log.world.documents.pop((kind, name), None)
        else:
            self.log.world.documents[kind, name] = text

    def execute(self, command: Command[A]) -> A | None:
        """Execute a command; None if the log refuses it, and then nothing has changed."""
        before = len(self.log.entries)
        try:
            answer = self.ask(command)
        except (TransitionError, FallbackRefused) as error:
            require(len(self.log.entries) == before, f"refused, and yet appended: {error}")
            return None
        self.executed.append((command, answer))
        self._note(before)
        return answer

    def ask(self, command: Command[A]) -> A:
        """Hand a command to the log. Replace it to try another log on the same lives.

        Raises:
            TransitionError: the log refuses.

        """
        return self.log.execute(command)

    # --- Callers ----------------------------------------------------------------------------------

    @initialize(target=executions, call=drawn("_calls"), payload=st.sampled_from(PAYLOADS))
    def first_caller_requests(self, call: Call, payload: dict[str, Any]) -> str:
        """A life begins with a request, or nothing much would happen in it."""
        return self._request(call, payload)

    @rule(
        target=executions,
        call=drawn("_calls"),
        payload=st.sampled_from(PAYLOADS),
        count=st.integers(1, 3),
    )
    def callers_request(self, call: Call, payload: dict[str, Any], count: int) -> Any:
        """Some callers ask for the same at once."""
        return multiple(*(self._request(call, payload) for _ in range(count)))

    @rule(
        target=executions,
        call=drawn("_foreign_calls"),
        payload=st.sampled_from(PAYLOADS),
        ago_ms=st.sampled_from((0, 0, 1_000)),
    )
    def foreign_client_is_adopted(self, call: Call, payload: dict[str, Any], ago_ms: int) -> str:
        """What a foreign client wrote is found, now or late."""
        execution_id, command = self._command(call, payload)
        adoption = Adopt(
            execution_id=execution_id,
            call=call,
            command=command,
            written_ms=self.log.now_ms - ago_ms,
        )
        require(self.execute(adoption) is not None, f"{execution_id!r} was not adopted")
        return execution_id

    @rule(execution_id=executions)
    def caller_gives_up(self, execution_id: str) -> None:
        """A caller waits no longer: from then on, nothing is held for it."""
        outcome = self.execute(GiveUp(execution_id=execution_id, reason="it takes too long"))
        if outcome is not None:
            require(execution_id not in self.log.views.pending, f"{execution_id!r} is still held")

    @precondition(lambda self: self.executed)
    @rule(data=st.data())
    def caller_repeats(self, data: st.DataObject) -> None:
        """Any earlier command comes again: nothing is appended and the answer is the same."""
        index = data.draw(st.integers(0, len(self.executed) - 1), label="index")
        command, first = self.executed[index]
        before = len(self.log.entries)
        again = self.ask(command)
        require(len(self.log.entries) == before, f"repeated, and appended again: {command}")
        if isinstance(first, Answer):  # its outcome may have come since
            first, again = first.receipt, again.receipt
        require(first == again, f"answered {first}, then {again}: {command}")

    # --- Workers ----------------------------------------------------------------------------------

    @rule(agent_type=one_of("agent_types"))
    def worker_comes_online(self, agent_type: str) -> None:
        """A worker comes online by itself."""
        self.start_worker(agent_type)

    @precondition(lambda self: self.workers)
    @rule(worker_id=one_of("workers"))
    def worker_leaves(self, worker_id: str) -> None:
        """A worker goes away cleanly; others simply let their lease lapse as time passes."""
        self.stop_worker(worker_id)

    # --- The manager ------------------------------------------------------------------------------

    @precondition(lambda self: self.open_wakes)
    @rule(told_max=st.sampled_from((1_000, 1, 0)))
    def manager_takes_the_next_wake(self, told_max: int) -> None:
        """The manager asks the provider, and tells those who wait what it says.

        It may die when it has told only some; then the wake is taken again, by another.
        """
        signal = self.open_wakes.pop(0)
        waiting = [row.execution_id for row in wakes.in_order(self.log.views, _group(signal))]
        begun = self._attempt(signal, waiting)
        if begun is None or not begun.epoch:
            return
        self.attempts.append((signal, begun.epoch))
        decision = self.provider(signal.request(begun.epoch, begun.attempt))
        told = waiting[:told_max]
        self.execute(self._settle(signal, decision, told, begun.epoch))
        if decision.status in _PROGRESS or len(waiting) > told_max:
            self.open_wakes.append(signal)

    @precondition(lambda self: self._late_attempts())
    @rule(data=st.data())
    def late_manager_answers_for_an_earlier_attempt(self, data: st.DataObject) -> None:
        """A manager that was thought dead tells its decision after all: it changes nothing."""
        signal, epoch = data.draw(st.sampled_from(self._late_attempts()), label="attempt")
        heads = self.log.views.executions.values()
        of_group = [head.execution_id for head in heads if head.group == _group(signal)]
        before = len(self.log.entries)
        self.execute(self._settle(signal, WakeupDecision(status="READY"), of_group, epoch))
        require(len(self.log.entries) == before, "a late decision of an old epoch did something")

    @rule(agent_type=one_of("agent_types"))
    def gate_rouses(self, agent_type: str) -> None:
        """The gate asks for wakes for what is held and waits for none."""
        self.execute(
            Rouse(agent_type=agent_type, members=self._held_members(agent_type), by="gate")
        )

    @rule()
    def gate_matures(self) -> None:
        """The gate lets delayed commands go whose time has come."""
        come = self._matured()
        for agent_type in self.agent_types:
            rows = (self.log.views.pending[execution_id] for execution_id in come)
            ids = [row.execution_id for row in rows if row.agent_type == agent_type]
            members = tuple(self._member(execution_id) for execution_id in ids)
            self.execute(Mature(agent_type=agent_type, members=members, by="gate"))

    @rule(agent_type=one_of("agent_types"), count=st.integers(1, 3))
    def gate_releases(self, agent_type: str, count: int) -> None:
        """The gate delivers what is held for an agent type, if somebody is online."""
        members = self._held_members(agent_type)[:count]
        self.execute(Release(agent_type=agent_type, members=members, by="gate"))

    @rule()
    def sweeper_expires(self) -> None:
        """The sweeper ends what is past its deadline."""
        late = self._late()
        for agent_type in sorted({row.agent_type for row in late}):
            ids = [row.execution_id for row in late if row.agent_type == agent_type]
            members = tuple(self._member(execution_id) for execution_id in ids)
            self.execute(Sweep(agent_type=agent_type, members=members, by="sweeper"))
        require(not self._late(), "swept, and yet something is past its deadline")

    # --- Operators --------------------------------------------------------------------------------

    @rule(execution_id=executions)
    def somebody_cancels(self, execution_id: str) -> None:
        """Whatever is held may be taken back; what was settled before stays as it was."""
        was = self.log.views.executions[execution_id].state
        outcome = self.execute(Cancel(execution_id=execution_id, by="operator"))
        now = self.log.views.executions[execution_id].state
        if was in (State.REQUESTED, State.WAKING):
            require(outcome is not None and now == State.REJECTED, f"cancelled from {was}: {now}")
        else:
            require(now == was, f"cancelled from {was}, and now it is {now}")

    @rule(execution_id=executions)
    def operator_redrives(self, execution_id: str) -> None:
        """An operator gives a dead letter another life; what is none is refused."""
        was = self.log.views.executions[execution_id].state
        receipt = self.execute(Redrive(execution_id=execution_id, by="operator"))
        require(receipt is None or was == State.DEADLETTER, f"redriven from {was}")
        if receipt is not None:
            self._check_quota(execution_id)

    @rule(event=drawn("_settings"))
    def operator_sets(self, event: SystemEvent) -> None:
        """An operator sets limits, policies and fallbacks, forces a circuit, pauses or drains.

        Only a fallback may be refused: it must not close a circle.
        """
        accepted = self.execute(Configure(event=event)) is not None
        require(accepted or isinstance(event, FallbackSet), f"refused: {event}")

    @rule(kind=st.sampled_from(sorted(BY_HAND)), data=st.data())
    def somebody_writes_by_hand(self, kind: str, data: st.DataObject) -> None:
        """Somebody writes, or removes, a key that by-framework reads."""
        named = self.tenants if kind == "quota" else self.agent_types
        name = data.draw(st.sampled_from(named), label="name")
        text = data.draw(st.sampled_from(BY_HAND[kind]), label="text")
        self.write_by_hand(kind, name, text)

    @rule(milliseconds=st.sampled_from((1, 1_000, 15_000, 30_000, 3_600_000)))
    def time_passes(self, milliseconds: int) -> None:
        """Time passes."""
        self.clock.advance(milliseconds)

    # --- What always holds ------------------------------------------------------------------------

    @invariant()
    def log_is_sound(self) -> None:
        """Positions increase, and each execution's versions count 1, 2, 3 and so on."""
        invariants.positions_increase(self.log.entries)
        invariants.versions_count_from_one(self.log.entries)

    @invariant()
    def views_are_the_fold(self) -> None:
        """The views say what the log says."""
        invariants.views_are_the_fold(self.log.entries, self.log.views)

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        """Each delivery in a control stream is one Delivered of the log, once a life."""
        invariants.delivered_at_most_once_a_life(self.log.entries)
        streams = self.log.world.control_streams
        delivered = [(a, d.execution_id) for a, deliveries in streams.items() for d in deliveries]
        invariants.what_is_delivered_is_there(self.log.entries, delivered)

    @invariant()
    def commands_arrive_byte_for_byte(self) -> None:
        """Only the target's name may differ from what the caller wrote."""
        for agent_type, deliveries in self.log.world.control_streams.items():
            for delivery in filter(lambda delivery: delivery.execution_id, deliveries):
                written = self._commands[delivery.execution_id].addressed(agent_type)
                require(delivery.command == written, f"{delivery} differs from {written}")

    @invariant()
    def nothing_is_lost(self) -> None:
        """What was accepted is pending, delivered, rejected or buried, and its payload with it."""
        invariants.nothing_accepted_is_lost(self.log.entries, self.log.views)

    @invariant()
    def quotas_count_what_is_held(self) -> None:
        """In flight is what is held."""
        invariants.quotas_count_what_is_held(self.log.views)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """Whoever waits waits in a group whose wake is under way or will be asked for again."""
        invariants.every_wake_has_an_end(self.log.views)

    @invariant()
    def circuits_let_few_probes_through(self) -> None:
        """At no position of the log do more wakes probe a circuit than its policy allows."""
        invariants.probes_are_few(self.log.entries)

    # --- Within -----------------------------------------------------------------------------------

    def _note(self, before: int) -> None:
        for _, event in self.log.entries[before:]:
            if isinstance(event, BecameReady):
                online = self.log.world.online(event.agent_type)
                self.became_ready.append(Readiness(event, online))
        self.open_wakes += self.log.world.signals[self._signals_seen :]
        self._signals_seen = len(self.log.world.signals)

    def _calls(self) -> SearchStrategy[Call]:
        return calls_of(tuple(self.agent_types), tuple(self.tenants), tuple(self.regions))

    def _foreign_calls(self) -> SearchStrategy[Call]:
        return foreign_calls_of(tuple(self.agent_types), tuple(self.tenants), tuple(self.regions))

    def _settings(self) -> SearchStrategy[SystemEvent]:
        named = tuple(user_code for user_code in self.tenants if user_code)
        return settings_of(tuple(self.agent_types), named)

    def _request(self, call: Call, payload: dict[str, Any]) -> str:
        execution_id, command = self._command(call, payload)
        answer = self.execute(Request(execution_id=execution_id, call=call, command=command))
        require(answer is not None, f"the request of {execution_id!r} was refused")
        self._check_quota(execution_id)
        return execution_id

    def _command(self, call: Call, payload: dict[str, Any]) -> tuple[str, CommandText]:
        """Return a new execution's id and command."""
        execution_id = f"exec-{len(self._commands) + 1}"
        command = self._commands[execution_id] = cut(payload, call.agent_type)
        return execution_id, command

    def _held_members(self, agent_type: str) -> tuple[Member, ...]:
        delayed = self.log.world.delayed
        rows = pending.in_order(self.log.views, agent_type)
        ids = (row.execution_id for row in rows if row.execution_id not in delayed)
        return tuple(self._member(execution_id) for execution_id in ids)

    def _matured(self) -> list[str]:
        """Return what is delayed and may go now, the longest due first."""
        now_ms = self.log.now_ms
        delayed = sorted((at_ms, e) for e, at_ms in self.log.world.delayed.items())
        return [execution_id for at_ms, execution_id in delayed if at_ms <= now_ms]

    def _late_attempts(self) -> list[tuple[Signal, Position]]:
        """Return the attempts that are not the latest of their group."""
        latest = {_group(signal): epoch for signal, epoch in self.attempts}
        return [(s, epoch) for s, epoch in self.attempts if latest[_group(s)] != epoch]

    def _attempt(self, signal: Signal, execution_ids: Sequence[str]) -> Attempted | None:
        agent_type, user_code, region = _group(signal)
        return self.execute(
            Attempt(
                agent_type=agent_type,
                user_code=user_code,
                region=region,
                wake=signal.epoch,
                members=tuple(self._member(execution_id) for execution_id in execution_ids),
                lasts_ms=signal.call.timeout_ms,
                by="manager",
            )
        )

    def _settle(
        self,
        signal: Signal,
        decision: WakeupDecision,
        execution_ids: Sequence[str],
        epoch: Position,
    ) -> Settle:
        agent_type, user_code, region = _group(signal)
        return Settle(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            epoch=epoch,
            status=decision.status,
            members=tuple(self._member(execution_id) for execution_id in execution_ids),
            selected=decision.selected_agent_type,
            reason=decision.reason,
            retry_after_ms=_or_unknown(decision.retry_after_ms),
            worker_ids=tuple(decision.worker_ids),
            by="manager",
        )

    def _member(self, execution_id: str) -> Member:
        call = self.log.views.executions[execution_id].call
        return Member(execution_id, call.user_code, call.region)

    def _late(self) -> list[Any]:
        now_ms = self.log.now_ms
        return [r for r in self.log.views.pending.values() if 0 < r.due_ms <= now_ms]

    def _check_quota(self, execution_id: str) -> None:
        """Check that whoever was just let in was let in within the limit."""
        row = self.log.views.pending.get(execution_id)
        quota = self.log.views.quotas.get(row.user_code) if row is not None else None
        if quota is not None and quota.limit != NO_LIMIT:
            used = quota.used(self.log.now_ms)
            require(used <= quota.limit, f"{execution_id!r} was let in over {quota}")


def _group(signal: Signal) -> tuple[str, str, str]:
    return (signal.call.agent_type, signal.call.user_code, signal.call.region)


def _or_unknown(retry_after_ms: int | None) -> int:
    return -1 if retry_after_ms is None else retry_after_ms
