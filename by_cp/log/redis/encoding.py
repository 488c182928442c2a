"""Commands to calls, replies to answers."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from by_cp.errors import ServerError
from by_cp.log.answers import Answer, Attempted, Outcome, Receipt, Recorded, Refused, Tally
from by_cp.log.commands import (
    Adopt,
    Append,
    Attempt,
    Buried,
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
from by_cp.log.redis.layout import keys_of
from by_cp.statemachine.events import (
    Call,
    ExecutionEvent,
    SystemEvent,
)
from by_cp.vocabulary import RoutePolicy

_PACK = msgspec.msgpack.Encoder()
_REPLY: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    Receipt | Outcome | Tally | Attempted | Recorded | Refused
)
_CALL = msgspec.msgpack.Decoder(Call)
_HOLDING = frozenset(RoutePolicy) - {RoutePolicy.FAIL_FAST, RoutePolicy.SEND_ANYWAY}
_NOBODY = Member("")
_NO_CALL = Call("", "", "", "", 0, 0, "", "", "", "")
_COMMON_FIELDS = frozenset((*ExecutionEvent.__struct_fields__, *SystemEvent.__struct_fields__))


class WireCall(NamedTuple):
    """One call of the library's function."""

    command: str
    keys: list[str]
    call_id: str
    arguments: tuple[str | bytes | int, ...]


class Known(NamedTuple):
    """What the store has to read before a command that names only an execution."""

    call: Call
    inbox: str


def known_of(buried: Buried) -> Known:
    """Return what a command's keys depend on, as the dead letters have it."""
    call = structs.replace(_NO_CALL, **structs.asdict(buried))
    return Known(call, "")


def decode_call(data: bytes) -> Call:
    """Decode the Call that a head keeps."""
    return _CALL.decode(data)


def encode(command: Command[Any], known: Known | None = None) -> WireCall:
    """Encode a command. Those that name only an execution need to know its Call."""
    match command:
        case Request() | Adopt():
            return _new(command)
        case Settle():
            one = Member("", command.user_code, command.region)
            arguments: tuple[str | bytes | int, ...] = (
                *(command.epoch, command.status, command.selected, command.reason),
                *(command.retry_after_ms, _PACK.encode(command.worker_ids), command.by),
            )
            return _batch("settle", command, (*_group(command), *arguments), one)
        case Attempt():
            one = Member("", command.user_code, command.region)
            arguments = (command.wake, command.lasts_ms, command.reason, command.by)
            return _batch("attempt", command, (*_group(command), *arguments), one)
        case Release() | Sweep() | Rouse() | Mature():
            name = type(command).__name__.lower()
            return _batch(name, command, (command.agent_type, command.by))
        case GiveUp():
            return _one("give_up", command, command.execution_id, known, (command.reason,))
        case Cancel():
            arguments = (command.reason, command.by)
            return _one("cancel", command, command.execution_id, known, arguments)
        case Redrive():
            return _one("redrive", command, command.execution_id, known, (command.by,))
        case Append():
            event = command.event
            arguments = (event.name, _own_fields(event), command.expected_version)
            return _one("append", command, event.execution_id, known, arguments)
        case Configure():
            return _configure(command)
        case _:
            raise TypeError(f"{type(command).__name__} is no command of the log")


def decode(command: Command[Any], reply: Any) -> Any:
    """Decode a reply into the command's answer.

    Raises:
        ByCpError: the log refused.
        ServerError: the reply is none of the library's.

    """
    outcome: Outcome | None = None
    if isinstance(reply, list):
        reply, told = reply
        outcome = _REPLY.decode(told) if told else None
    try:
        answer = _REPLY.decode(reply)
    except (msgspec.DecodeError, TypeError) as error:
        raise ServerError(f"the server's reply makes no sense: {reply!r}") from error
    if isinstance(answer, Refused):
        raise answer.error()
    return Answer(answer, outcome) if isinstance(command, Request) else answer


def decode_recorded(reply: bytes) -> Recorded:
    """Decode where something was put; its position is "" if it was not."""
    recorded: Recorded = _REPLY.decode(reply)
    return recorded


def decode_outcome(data: bytes) -> Outcome:
    """Decode what was told into an inbox.

    Raises:
        ServerError: it is no outcome.

    """
    try:
        outcome: Outcome = _REPLY.decode(data)
    except msgspec.DecodeError as error:
        raise ServerError(f"no outcome: {data!r}") from error
    return outcome


def _new(command: Request | Adopt) -> WireCall:
    """Encode what an execution begins with. The digest tells one command from another."""
    call, text = command.call, command.command
    body = _PACK.encode(call)
    digest = hashlib.blake2b(body, digest_size=12)
    digest.update(text.whole)
    first = (command.execution_id, body, text.before, text.name, text.after, digest.digest())
    if isinstance(command, Adopt):
        name, inbox = "adopt", ""
        rest: tuple[str | bytes | int, ...] = (command.written_ms, *command.entries)
    else:
        holds = call.policy in _HOLDING or call.not_before_ms > 0
        name, inbox = "request" if holds else "request_now", command.inbox
        rest = (inbox, command.registration)
    member = Member(command.execution_id, call.user_code, call.region, inbox)
    keys = keys_of(name, call.agent_type, member, session_id=call.session_id)
    return WireCall(name, keys, command.call_id, (*first, *rest))


def _batch(
    name: str,
    command: Settle | Attempt | Release | Sweep | Rouse | Mature,
    arguments: tuple[str | bytes | int, ...],
    one: Member = _NOBODY,
) -> WireCall:
    """Encode a batch; of a settle or an attempt, `one` has the group's tenant and region."""
    members = command.members
    keys = keys_of(name, command.agent_type, one, call_id=command.call_id, members=members)
    ids = (member.execution_id for member in members)
    return WireCall(name, keys, command.call_id, (*arguments, *ids))


def _one(
    name: str,
    command: Command[Any],
    execution_id: str,
    known: Known | None,
    arguments: tuple[str | bytes | int, ...],
) -> WireCall:
    call = known.call if known else _NO_CALL
    member = Member(execution_id, call.user_code, call.region, known.inbox if known else "")
    keys = keys_of(name, call.agent_type, member, call_id=command.call_id)
    return WireCall(name, keys, command.call_id, (execution_id, *arguments))


def _configure(command: Configure) -> WireCall:
    event = command.event
    agent_type, user_code = getattr(event, "agent_type", ""), getattr(event, "user_code", "")
    keys = keys_of("configure", agent_type, Member("", user_code), call_id=command.call_id)
    arguments = (agent_type, event.name, _own_fields(event))
    return WireCall("configure", keys, command.call_id, arguments)


def _group(command: Settle | Attempt) -> tuple[str, str, str]:
    return (command.agent_type, command.user_code, command.region)


def _own_fields(event: ExecutionEvent | SystemEvent) -> bytes:
    """Encode an event's own fields, without those that the store fills in."""
    return _PACK.encode(
        [value for name, value in structs.asdict(event).items() if name not in _COMMON_FIELDS]
    )
