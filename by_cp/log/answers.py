"""The answers of the log, and how a refusal becomes an error.

They travel as tagged msgpack arrays; a store keeps the answer it gave, to give it again.
"""

from __future__ import annotations

from msgspec import Struct

from by_cp import errors
from by_cp.vocabulary import Refusal


class Receipt(Struct, array_like=True, frozen=True, tag="receipt"):
    """What was decided about a request."""

    execution_id: str
    status: str
    """An `AvailabilityStatus`, or WAITING."""
    agent_type: str
    """To whom it was delivered, or will be."""
    code: str = ""
    """Of a rejection: an `ErrorCode`."""
    reason: str = ""
    retry_after_ms: int = -1
    position: str = ""
    """Position of the last event that the call appended."""


class Outcome(Struct, array_like=True, frozen=True, tag="outcome"):
    """How an execution that was held came out."""

    execution_id: str
    status: str
    """An `AvailabilityStatus`: WAIT_AND_DELIVER, FALLBACK_TO_OTHER_AGENT_TYPE or REJECT."""
    state: str
    agent_type: str
    code: str = ""
    reason: str = ""
    retry_after_ms: int = -1


class Answer(Struct, frozen=True):
    """A receipt and, when the request is a repeated one, what has come out since."""

    receipt: Receipt
    outcome: Outcome | None = None


class Tally(Struct, array_like=True, frozen=True, tag="tally"):
    """What became of the members of a batch."""

    delivered: int = 0
    dead_lettered: int = 0
    rejected: int = 0
    progressed: int = 0
    skipped: int = 0
    """Not in a state, epoch or time in which the command applies to them."""

    @property
    def settled(self) -> int:
        """How many were brought to an end."""
        return self.delivered + self.dead_lettered + self.rejected


class Attempted(Struct, array_like=True, frozen=True, tag="attempted"):
    """Whether an attempt of a wake has begun."""

    epoch: str
    """Its fencing token; "" if it has not begun."""
    attempt: int = 0
    """1 for the first of its wake."""
    why_not: str = ""
    """NOBODY waits any more, or the wake is SUPERSEDED by a later one of its group."""


class Recorded(Struct, array_like=True, frozen=True, tag="recorded"):
    """Where an event was appended."""

    position: str
    version: int
    """The execution's version after it; 0 for a system event."""


class Refused(Struct, array_like=True, frozen=True, tag="refused"):
    """A call that changed nothing, and why."""

    refusal: str
    execution_id: str
    state: str = ""
    event: str = ""
    reason: str = ""
    expected: int = -1
    actual: int = -1

    def error(self) -> errors.ByCpError:
        """Return the error that says so."""
        match Refusal(self.refusal):
            case Refusal.ILLEGAL:
                return errors.IllegalTransition(self.execution_id, self.state, self.event)
            case Refusal.UNKNOWN:
                return errors.UnknownExecution(self.execution_id)
            case Refusal.CONFLICT:
                return errors.ExecutionConflict(self.execution_id)
            case Refusal.VERSION:
                return errors.VersionConflict(self.execution_id, self.expected, self.actual)
            case Refusal.NOTHING:
                return errors.NothingToDeliver(self.execution_id)
            case Refusal.REDRIVE:
                return errors.RedriveRefused(self.execution_id, self.reason)
            case Refusal.FALLBACK:
                return errors.FallbackRefused(self.reason)


Reply = Receipt | Outcome | Tally | Attempted | Recorded | Refused
