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

from by_cp.errors import InvalidInput
from by_cp.log.answers import Answer, Attempted, Outcome, Receipt, Recorded, Tally
from by_cp.log.commandtext import CommandText
from by_cp.statemachine.events import SETTINGS, Call, ExecutionEvent, SystemEvent

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
    registration: bytes = b""
    """What is written into the session's registry, for by-framework's workers, if it is accepted:
    the text of a JSON object without its target, its stream and its end; b"" is nothing. A store
    on which there is no by-framework leaves it."""


class Adopt(Command[Receipt], frozen=True, kw_only=True):
    """Take what someone else's client wrote into by-cp's streams into the log, once.

    What that client promised its caller holds. Whoever waits is answered on its result stream, with
    a rejection too, and delivers the command by itself once it is told READY. Whoever went on was
    told that the command is held: so it is, whatever admission says of it.
    """

    execution_id: str
    call: Call
    """Its `origin` says whose client it was; its policy is one of those that hold."""
    command: CommandText
    written_ms: int
    """When it was written, in ms of the server's clock: from then on its caller waits."""
    entries: tuple[str, str] = ("", "")
    """Its entries in the wakeup stream and in the pending stream, which are removed; "" is none."""


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
    """Apply the decision of a group's latest attempt to some of those who wait in the group.

    The decision of an earlier epoch is late and changes nothing. A final decision ends the wake and
    gives the group's claim free; who asks from then on leads a new one.
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


class Attempt(Command[Attempted], frozen=True, kw_only=True):
    """Begin an attempt of a group's wake, which fences off all attempts before it.

    The first of the members that waits has the event. If nobody waits, the wake is ended.
    """

    agent_type: str
    user_code: str
    region: str
    wake: str
    """The wake's name, as its signal has it."""
    members: tuple[Member, ...]
    lasts_ms: int
    """How long the attempt may take."""
    reason: str = ""
    by: str = ""


class Rouse(Command[Tally], frozen=True, kw_only=True):
    """Ask for a wake for those held commands that wait for none, though their policy says so.

    They were held while their agent type was paused or before their time, or their wake was lost.
    `progressed` counts those for whom one was asked.
    """

    agent_type: str
    members: tuple[Member, ...]
    by: str = ""


class Mature(Command[Tally], frozen=True, kw_only=True):
    """Let delayed commands whose time has come be delivered or, as their policy says, woken for.

    `progressed` counts them.
    """

    agent_type: str
    members: tuple[Member, ...]
    by: str = ""


class Cancel(Command[Outcome], frozen=True, kw_only=True):
    """Take a held command back. If it was settled meanwhile, that outcome is the answer."""

    execution_id: str
    reason: str = ""
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


class Buried(Struct, frozen=True):
    """What the listing of the dead letters says of one that holds a command."""

    agent_type: str
    user_code: str
    region: str


class Redrive(Command[Receipt], frozen=True, kw_only=True):
    """Give a dead letter another life: deliver it, or hold it again."""

    execution_id: str
    buried: Buried | None = None
    """From the listing, if one has it: it saves a read."""
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
    """Append an event with which an operator sets something.

    Raises:
        InvalidInput: it is none of `SETTINGS`; the others come of what happens.

    """

    event: SystemEvent

    def __post_init__(self) -> None:
        """Refuse what nobody sets."""
        if not isinstance(self.event, SETTINGS):
            raise InvalidInput(f"{self.event.name} is nothing that one sets")
