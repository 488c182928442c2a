"""Every error that by-cp raises on purpose, and what to do about each.

They are split by who is to blame. `InvalidInput` is the caller's: nothing was written, mend the
argument. `TransitionError` is the history's: the execution is not in a state that allows it.
`ServerError` is the surroundings': the server is away, too old or forbids what by-cp needs.
"""

from __future__ import annotations


class ByCpError(Exception):
    """The root of all errors of by-cp."""


class InvalidInput(ByCpError, ValueError):
    """An argument is not acceptable. Nothing was written; mend the argument and call again."""


class InvalidName(InvalidInput):
    """A name from outside (agent type, tenant, region, id) breaks the rules of `by_cp.names`."""


class FallbackRefused(InvalidInput):
    """The fallback would close a circle, or make a chain that is too long. Nothing was written."""


class PayloadTooLarge(InvalidInput):
    """The encoded command is over the limit. Store the content elsewhere and send a reference."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"the encoded command has {size_bytes:,} bytes, over the limit of {limit_bytes:,}; "
            "store the content elsewhere and send a reference, or raise max_payload_bytes"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class MissingExtra(ByCpError, ImportError):
    """An optional library is not installed. Install the extra that the message names."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(f"{what} needs {library}: pip install 'by-cp[{extra}]'", name=library)


class TransitionError(ByCpError):
    """The log refuses what was asked of one execution. Nothing was written."""

    def __init__(self, message: str, execution_id: str) -> None:
        super().__init__(message)
        self.execution_id = execution_id


class IllegalTransition(TransitionError):
    """The execution is in a state from which the event is not declared."""

    def __init__(self, execution_id: str, state: str, event: str) -> None:
        super().__init__(
            f"execution {execution_id!r} is {state or 'new'}: {event} is not allowed there",
            execution_id,
        )
        self.state = state
        self.event = event


class VersionConflict(TransitionError):
    """The execution moved on since it was read. Read it again, decide again."""

    def __init__(self, execution_id: str, expected: int, actual: int) -> None:
        super().__init__(
            f"execution {execution_id!r} is at version {actual}, not at the expected {expected}",
            execution_id,
        )
        self.expected = expected
        self.actual = actual


class UnknownExecution(TransitionError):
    """No execution of this id is known here: mistyped, never sent, or past its retention."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"no execution {execution_id!r} is known here: mistyped, sent elsewhere, "
            "or older than what is kept",
            execution_id,
        )


class ExecutionConflict(TransitionError):
    """The id was already used for another command. Use a new id, or repeat the same command."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id!r} already exists with another command; "
            "an execution_id names one command for ever",
            execution_id,
        )


class NothingToDeliver(TransitionError):
    """The execution holds no command (it was rejected at once), so none can be delivered."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id!r} holds no command that could be delivered", execution_id
        )


class RedriveRefused(TransitionError):
    """A dead letter cannot be redriven now, because its circuit is open or its quota is used."""

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(
            f"execution {execution_id!r} cannot be redriven now: {reason}", execution_id
        )
        self.reason = reason


class CorruptEvent(ByCpError):
    """A log entry cannot be read: damaged, or written by a newer by-cp. Upgrade or inspect it."""


class DivergentHistory(ByCpError):
    """This release reads a recorded history otherwise than it was written, at a named position.

    Attributes:
        position: where.
        recorded: the state that the recording has there; "" if it has none.
        replayed: the state that replay reaches there, or was in when it could not go on.
        rule: what is broken.

    """

    def __init__(self, position: str, recorded: str, replayed: str, rule: str) -> None:
        super().__init__(
            f"at {position}: recorded {recorded or 'nothing'}, replayed {replayed or 'nothing'}: "
            f"{rule}"
        )
        self.position = position
        self.recorded = recorded
        self.replayed = replayed
        self.rule = rule


class ServerError(ByCpError):
    """The server cannot do what by-cp needs."""


class ServerUnreachable(ServerError):
    """No server answers at the URL. Start it, or mend the URL."""


class LoginRefused(ServerUnreachable):
    """The server does not take the URL's user and password. Mend the URL; waiting does not help."""


class ServerUnsupported(ServerError):
    """The server is too old (Redis >= 7.0 or Valkey >= 8 is needed) or forbids functions."""


class InteropUnavailable(ByCpError):
    """by-framework cannot be switched: not installed, or a release that by-cp does not know."""
