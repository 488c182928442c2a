"""The commands: what one may ask of the log, each one atomic call with one answer.

Commands are in the imperative, events (what comes of them) in the past tense. A command that is
sent twice, because a client's connection broke before the answer came, is executed once and
answered the same both times: `Request` by its execution_id, every other by its `call_id`. So make
one object for one intention, and send that same object again.
"""

from __future__ import annotations

import secrets
from typing import Generic, TypeVar

from msgspec import Struct, field

from by_cp.log.answers import Answer, Outcome, Receipt, Recorded, Tally
from by_cp.log.commandtext import CommandText
from by_cp.statemachine.events import Call, ExecutionEvent, SystemEvent

A_co = TypeVar("A_co", covariant=True)


def new_call_id() -> str:
    """Return a fresh id for one call: 64 random bits in hex."""
    return secrets.token_hex(8)


class Command(Struct, Generic[A_co], frozen=True, kw_only=True):
    """A command whose answer has type `A_co`."""

    call_id: str = field(default_factory=new_call_id)


class Request(Command[Answer], frozen=True, kw_only=True):
    """Decide what becomes of a command, and do it: deliver, hold, wake or reject."""

    execution_id: str
    call: Call
    command: CommandText
    inbox: str = ""
    """Where the waiting caller's process hears outcomes; "" when nobody waits."""


class Member(Struct, frozen=True):
    """One held execution, as the listings of a store name it."""

    execution_id: str
    user_code: str = ""
    region: str = ""
    inbox: str = ""


class GiveUp(Command[Outcome], frozen=True, kw_only=True):
    """Stop waiting for a delivery. If it was settled meanwhile, that outcome is the answer."""

    execution_id: str
    reason: str


class Settle(Command[Tally], frozen=True, kw_only=True):
    """Apply a wake's decision to some of those who wait for it.

    Executions that do not wait for this epoch (any more) are skipped: a late decision of an old
    epoch changes nothing. A final decision gives the group's claim free.
    """

    agent_type: str
    user_code: str
    region: str
    epoch: str
    status: str
    """A `WakeupDecisionStatus`."""
    members: tuple[Member, ...] = ()
    selected: str = ""
    """With FALLBACK: the agent type that stands in."""
    reason: str = ""
    retry_after_ms: int = -1
    worker_ids: tuple[str, ...] = ()
    by: str = ""


class Release(Command[Tally], frozen=True, kw_only=True):
    """Deliver held commands of an agent type, if it has a worker online and no open circuit."""

    agent_type: str
    members: tuple[Member, ...]
    by: str = ""


class Sweep(Command[Tally], frozen=True, kw_only=True):
    """Expire those of the given executions whose deadline has passed."""

    agent_type: str
    members: tuple[Member, ...]
    by: str = ""


class Redrive(Command[Receipt], frozen=True, kw_only=True):
    """Give a dead letter another life: deliver it, or hold it again."""

    execution_id: str
    by: str = ""


class Append(Command[Recorded], frozen=True, kw_only=True):
    """Append one event to one execution, guarded by the table and, if given, by its version.

    This is what every other command is made of. The event's own `version` and `cause` are filled
    in by the store.
    """

    event: ExecutionEvent
    expected_version: int = -1
    """-1 is any."""


class Configure(Command[Recorded], frozen=True, kw_only=True):
    """Append a system event: a circuit, quota or fallback was set."""

    event: SystemEvent
