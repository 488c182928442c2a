"""Hypothesis strategies for what by-cp is made of.

They take strategies for their parts where you may want to narrow them, as in
`calls(tenants=just("acme"))`. What they make is valid, and nasty within that: names with colons
and braces, payloads with `[]`, `{}` and integers that no float holds.

Those without parameters are cached: to make a strategy takes longer than to draw from it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from by_cp.log.commands import Configure, GiveUp, Redrive, Request
from by_cp.log.commandtext import CommandText, cut
from by_cp.names import NAME_LENGTH_MAX, PRIORITY_ABS_MAX, TIMEOUT_MS_MAX
from by_cp.statemachine.events import (
    EXECUTION_EVENTS,
    AgentDraining,
    AgentPaused,
    AgentResumed,
    BecameReady,
    Call,
    CircuitClosed,
    CircuitForced,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitPolicySet,
    DeadLettered,
    Delivered,
    DepthSet,
    Event,
    Evidence,
    ExecutionEvent,
    Failed,
    FallbackSet,
    Held,
    QuotaSet,
    RateSet,
    Redriven,
    Rejected,
    Requested,
    SystemEvent,
    TenantDepthSet,
    WakeAttempted,
    WakeEnded,
    WakeProgressed,
    WakeRequested,
    event_name,
)
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE
from by_cp.vocabulary import ErrorCode, RoutePolicy, WakeupDecisionStatus
from by_cp.wire import WakeupDecision

NASTY_NAMES = (
    *("a:b", "a", "a:", ":a", "a%3Ab", "_", "%5F", "{a}", "}{", "a b", "a/b", 'a"b', "a\\b"),
    *("ünïcode", "智能体", "🦜", "None", "0", "*", "?", "a\u0301", "x" * NAME_LENGTH_MAX),
)
"""Valid names that some system or other has stumbled over."""

_JSON = json.JSONEncoder(ensure_ascii=False)
_NICE_TEXTS = ("", "hello", "🦜 ünïcode 智能体", "[]", "{}", '"', "\\", "\n", "\x00", "</script>")
_INTS = (0, 1, -1, 2**53 + 1, 2**60, 2**63 - 1, -(2**63), 2**64 - 1, 10**30)
_JSON_DEPTH_LEAVES_MAX = 6


# --- Names ----------------------------------------------------------------------------------------


@cache
def names() -> SearchStrategy[str]:
    """Names that by-cp accepts, the nastiest included."""
    printable = st.characters(exclude_categories=("C", "Z"))
    made = st.text(printable | st.just(" "), min_size=1, max_size=12).map(str.strip).filter(bool)
    return st.sampled_from(NASTY_NAMES) | made


def agent_types() -> SearchStrategy[str]:
    """Agent types."""
    return names()


def tenants() -> SearchStrategy[str]:
    """User codes; "" is no tenant."""
    return st.just("") | names()


def regions() -> SearchStrategy[str]:
    """Regions; "" is none."""
    return st.just("") | names()


def execution_ids() -> SearchStrategy[str]:
    """Execution ids."""
    return names()


# Strategies are values: these stand as defaults of the functions below.
_NAMES = names()
_ABSENT_OR_NAMES = st.just("") | _NAMES
_POLICIES = st.sampled_from(RoutePolicy)
_PRIORITIES = st.integers(-PRIORITY_ABS_MAX, PRIORITY_ABS_MAX)
_TIMEOUTS_MS = st.integers(1, TIMEOUT_MS_MAX)
_CAUSES = st.integers(0, 2**64 - 1).map("{:016x}".format)
_STATUSES = st.sampled_from(WakeupDecisionStatus)


# --- Payloads -------------------------------------------------------------------------------------


@cache
def texts() -> SearchStrategy[str]:
    """Any text that UTF-8 can encode."""
    return st.sampled_from(_NICE_TEXTS) | st.text(max_size=12)


@cache
def json_values() -> SearchStrategy[Any]:
    """JSON values: empty lists and objects, integers that no float holds, emoji."""
    leaves = (
        st.none()
        | st.booleans()
        | st.sampled_from(_INTS)
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts()
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=_JSON_DEPTH_LEAVES_MAX,
    )


@cache
def json_objects() -> SearchStrategy[dict[str, Any]]:
    """JSON objects."""
    return st.dictionaries(texts(), json_values(), max_size=3)


@cache
def payloads() -> SearchStrategy[dict[str, Any]]:
    """Whole commands for a worker, in by-framework's form, as Python objects."""
    header = st.fixed_dictionaries(
        {"message_id": names(), "target_agent_type": agent_types()},
        optional={"metadata": json_objects(), "user_code": tenants(), "zz": json_values()},
    )
    body = st.fixed_dictionaries(
        {"content": texts() | st.lists(json_values(), max_size=2)},
        optional={"extra_payload": json_objects(), "wait_for_reply": st.booleans()},
    )
    return st.fixed_dictionaries(
        {"action_type": st.just("ASK_AGENT"), "header": header, "body": body}
    )


def command_texts(agent_types: SearchStrategy[str] = _NAMES) -> SearchStrategy[CommandText]:
    """Whole commands for a worker, encoded."""
    return st.builds(cut, payloads(), agent_types)


# --- Calls and commands ---------------------------------------------------------------------------


def calls(
    *,
    agent_types: SearchStrategy[str] = _NAMES,
    tenants: SearchStrategy[str] = _ABSENT_OR_NAMES,
    regions: SearchStrategy[str] = _ABSENT_OR_NAMES,
    policies: SearchStrategy[str] = _POLICIES,
    priorities: SearchStrategy[int] = _PRIORITIES,
    timeouts_ms: SearchStrategy[int] = _TIMEOUTS_MS,
) -> SearchStrategy[Call]:
    """What a caller asks for, but for the command's content."""
    return st.builds(
        Call,
        agent_type=agent_types,
        user_code=tenants,
        region=regions,
        policy=policies,
        priority=priorities,
        timeout_ms=timeouts_ms,
        session_id=names(),
        trace_id=_ABSENT_OR_NAMES,
        message_id=names(),
        source=st.just("client") | names(),
        metadata=json_objects().map(_JSON.encode),
    )


_CALLS = calls()


@st.composite
def requests(
    draw: DrawFn,
    execution_ids: SearchStrategy[str] = _NAMES,
    calls: SearchStrategy[Call] = _CALLS,
) -> Request:
    """Requests for a delivery, each with a call id of its own."""
    call = draw(calls)
    command = cut(draw(payloads()), call.agent_type)
    return Request(execution_id=draw(execution_ids), call=call, command=command)


def decisions(
    *,
    statuses: SearchStrategy[str] = _STATUSES,
    selected: SearchStrategy[str] = _ABSENT_OR_NAMES,
) -> SearchStrategy[WakeupDecision]:
    """What a provider may say of a wake."""
    return st.builds(
        WakeupDecision,
        status=statuses,
        selected_agent_type=selected,
        worker_ids=st.lists(names(), max_size=2),
        retry_after_ms=st.none() | st.integers(0, 60_000),
        reason=texts(),
    )


def commands(
    execution_ids: SearchStrategy[str] = _NAMES,
) -> SearchStrategy[Request | GiveUp | Redrive | Configure]:
    """Commands that can be made without a look at the log. It may refuse them, never break."""
    return st.one_of(
        requests(execution_ids),
        st.builds(GiveUp, execution_id=execution_ids, reason=texts()),
        st.builds(Redrive, execution_id=execution_ids, by=texts()),
        st.builds(Configure, event=settings()),
    )


# --- Events ---------------------------------------------------------------------------------------


@cache
def positions() -> SearchStrategy[Position]:
    """Positions in a log."""
    return st.builds("{}-{}".format, st.integers(1, 2**42), st.integers(0, 2**20))


@cache
def evidences() -> SearchStrategy[Evidence]:
    """What admission saw."""
    return st.builds(
        Evidence,
        circuit=st.sampled_from(("", "CLOSED", "OPEN", "HALF_OPEN", "FOREIGN")),
        quota_used=st.integers(-1, 1000),
        quota_limit=st.integers(-1, 1000),
        workers_online=st.integers(-1, 1),
        workers_registered=st.integers(-1, 1000),
        maintenance=st.sampled_from(("", "PAUSED", "DRAINING")),
        depth=st.integers(-1, 1000),
        depth_max=st.integers(-1, 1000),
        rate_tat_us=st.integers(-1, 2**52),
    )


def execution_events(
    event_type: type[ExecutionEvent], execution_id: str = "exec-1", version: int = 1
) -> SearchStrategy[ExecutionEvent]:
    """Events of one class, of one execution."""
    return st.builds(
        lambda cause, fields: event_type(execution_id, version, cause, **fields),
        _CAUSES,
        _OWN_FIELDS[event_type],
    )


@cache
def system_events() -> SearchStrategy[SystemEvent]:
    """Events of no execution: what operators set, and what comes of what happens."""
    group = (names(), _ABSENT_OR_NAMES, _ABSENT_OR_NAMES)
    ended = st.sampled_from((*WakeupDecisionStatus, "ABANDONED")).map(str)
    times = st.integers(0, 2**42)
    return settings() | st.one_of(
        st.builds(WakeEnded, _CAUSES, *group, positions(), positions(), ended, texts(), texts()),
        st.builds(CircuitOpened, _CAUSES, names(), times, st.integers(0, 100), texts()),
        st.builds(CircuitHalfOpened, _CAUSES, names()),
        st.builds(CircuitClosed, _CAUSES, names(), texts()),
    )


def settings(
    agent_types: SearchStrategy[str] = _NAMES, tenants: SearchStrategy[str] = _NAMES
) -> SearchStrategy[SystemEvent]:
    """Events with which operators set something."""
    circuit = st.sampled_from(("OPEN", "CLOSED", "AUTO"))
    limits = st.integers(-1, 3)
    spans_ms = st.sampled_from((1, 1_000, 30_000))
    small = st.integers(0, 3)
    of_agent = (_CAUSES, agent_types)
    return st.one_of(
        st.builds(CircuitForced, *of_agent, circuit, texts(), texts()),
        st.builds(
            CircuitPolicySet,
            *(_CAUSES, st.just("") | agent_types, small, spans_ms, spans_ms, small, spans_ms),
            texts(),
        ),
        st.builds(QuotaSet, _CAUSES, tenants, limits, texts()),
        st.builds(RateSet, _CAUSES, tenants, small, spans_ms, st.integers(1, 3), texts()),
        st.builds(DepthSet, *of_agent, limits, texts()),
        st.builds(TenantDepthSet, _CAUSES, tenants, limits, texts()),
        st.builds(FallbackSet, *of_agent, st.just("") | agent_types, texts()),
        st.builds(AgentPaused, *of_agent, texts(), texts()),
        st.builds(AgentDraining, *of_agent, texts(), texts()),
        st.builds(AgentResumed, *of_agent, texts()),
    )


@cache
def events() -> SearchStrategy[Event]:
    """Events of every class."""
    of_executions = st.tuples(st.sampled_from(EXECUTION_EVENTS), names(), st.integers(1, 2**31))
    return of_executions.flatmap(lambda drawn: execution_events(*drawn)) | system_events()


# --- Histories ------------------------------------------------------------------------------------


@st.composite
def legal_histories(
    draw: DrawFn, execution_id: str = "exec-1", size_max: int = 12
) -> list[ExecutionEvent]:
    """Events of one execution that the declared table allows, one after the other."""
    return _draw_all(draw, draw(_legal_walks(size_max)), execution_id)


@st.composite
def histories_with_one_illegal_step(
    draw: DrawFn, execution_id: str = "exec-1", size_max: int = 12
) -> tuple[list[ExecutionEvent], int]:
    """Events of which exactly one is not allowed, and its index. Without it, all the rest is."""
    walk = list(draw(_legal_walks(size_max)))
    index = draw(st.integers(0, len(walk)))
    state: State | None = None
    for event_type in walk[:index]:
        state = TABLE[state, event_name(event_type)].dest
    illegal = [e for e in EXECUTION_EVENTS if (state, event_name(e)) not in TABLE]
    walk.insert(index, draw(st.sampled_from(illegal)))
    return _draw_all(draw, walk, execution_id), index


@st.composite
def _legal_walks(draw: DrawFn, size_max: int) -> list[type[ExecutionEvent]]:
    state: State | None = None
    walk: list[type[ExecutionEvent]] = []
    for _ in range(draw(st.integers(1, size_max))):
        legal = [e for e in EXECUTION_EVENTS if (state, event_name(e)) in TABLE]
        if not legal:
            break
        walk.append(draw(st.sampled_from(legal)))
        state = TABLE[state, event_name(walk[-1])].dest
    return walk


def _draw_all(
    draw: DrawFn, walk: Sequence[type[ExecutionEvent]], execution_id: str
) -> list[ExecutionEvent]:
    # Not through `execution_events`, which would make a strategy for each of them.
    return [
        event_type(execution_id, version, draw(_CAUSES), **draw(_OWN_FIELDS[event_type]))
        for version, event_type in enumerate(walk, 1)
    ]


# --- The fields of each event ---------------------------------------------------------------------


def _or_absent(strategy: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.just("") | strategy


def _fields(**strategies: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(strategies)


def _held_command(text: CommandText) -> dict[str, Any]:
    return {
        "command": text.whole.decode(),
        "name_at": len(text.before),
        "name_size": len(text.name),
    }


_TIMES_MS = st.just(0) | st.integers(1, 2**42)
_HELD_COMMANDS = command_texts().map(_held_command)

_OWN_FIELDS: dict[type[ExecutionEvent], SearchStrategy[dict[str, Any]]] = {
    Requested: _fields(call=calls(), evidence=evidences()),
    Held: st.builds(
        dict,
        _HELD_COMMANDS,
        deadline_ms=_TIMES_MS,
        not_before_ms=_TIMES_MS,
        expires_at_ms=_TIMES_MS,
        rank=st.integers(0, 2**42),
    ),
    WakeRequested: _fields(
        epoch=_or_absent(positions()),
        leader=_ABSENT_OR_NAMES,
        until_ms=st.integers(0, 2**42),
        permit_until_ms=_TIMES_MS,
    ),
    WakeAttempted: _fields(
        wake=positions(),
        attempt=st.integers(1, 9),
        until_ms=st.integers(0, 2**42),
        reason=texts(),
        by=texts(),
    ),
    WakeProgressed: _fields(
        status=st.sampled_from(("STARTING", "QUEUED")), reason=texts(), by=texts()
    ),
    BecameReady: _fields(
        how=st.sampled_from(("ONLINE", "SEND_ANYWAY", "WAKE", "FALLBACK")),
        agent_type=names(),
        epoch=_or_absent(positions()),
        worker_ids=st.lists(names(), max_size=2).map(tuple),
        by=texts(),
    ),
    Delivered: _fields(agent_type=names()),
    Failed: _fields(reason=texts(), epoch=_or_absent(positions()), by=texts()),
    Rejected: _fields(
        code=st.sampled_from(ErrorCode).map(str),
        reason=texts(),
        retry_after_ms=st.integers(-1, 60_000),
        by=texts(),
    ),
    DeadLettered: st.builds(dict, st.just({}) | _HELD_COMMANDS, reason=texts(), by=texts()),
    Redriven: _fields(by=texts()),
}
