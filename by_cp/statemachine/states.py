"""The states of an execution: exactly the seven that were specified."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an execution stands. Before its first event it has no state at all (`None`)."""

    REQUESTED = "REQUESTED"
    WAKING = "WAKING"
    READY = "READY"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    DELIVERED = "DELIVERED"
    DEADLETTER = "DEADLETTER"


class Effect(StrEnum):
    """What a transition does besides changing the state. The views and the server act on these."""

    OPEN = "open"
    """A head is opened for the new execution."""
    HOLD = "hold"
    """The command goes into pending."""
    CHARGE = "charge"
    """The tenant leases a place in flight, until the command is settled or due."""
    JOIN = "join"
    """The execution joins its wake group; the group's first signals the manager."""
    ATTEMPT = "attempt"
    """The wake group's claim passes to a new attempt, whose epoch fences off those before it."""
    LEAVE = "leave"
    """The execution leaves its wake group, if it is in one."""
    PROGRESS = "progress"
    """Whoever waits is shown how the wake goes."""
    HEAL = "heal"
    """A wake's success clears the agent type's strikes."""
    STRIKE = "strike"
    """A wake's failure counts against the agent type, once a wake."""
    DELIVER = "deliver"
    """The command goes into the control stream, in the same atomic call."""
    UNHOLD = "unhold"
    """The command leaves pending, if it is there."""
    DISCHARGE = "discharge"
    """What the execution was charged, if anything, is given back."""
    TELL = "tell"
    """Whoever waits is told the outcome, once."""
    BURY = "bury"
    """The command goes, payload and reason, into the dead letters."""
    RESUME = "resume"
    """An agent that was to get a reply to the command is told that none will come."""
    EXHUME = "exhume"
    """The command leaves the dead letters."""
    CLOSE = "close"
    """The head may expire."""
