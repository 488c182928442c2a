"""What a sender is told."""

from __future__ import annotations

from dataclasses import dataclass

from by_cp.vocabulary import ErrorCode


class ExecutionStatus:
    """Words for how an operation came out: by-framework's, as far as by-cp sends."""

    QUEUED = "QUEUED"
    """The command stands in a control stream, or is held and will."""
    FAILED = "FAILED"
    """The command was not accepted."""

    ERR_AGENT_TYPE_UNAVAILABLE = ErrorCode.AGENT_TYPE_UNAVAILABLE.value
    ERR_WORKER_NOT_ONLINE = ErrorCode.WORKER_NOT_ONLINE.value


@dataclass(frozen=True)
class SendMessageResponse:
    """What became of a message: by-framework's fields, and then by-cp's own."""

    success: bool
    """It was delivered, or is held and will be."""
    message_id: str
    trace_id: str
    target_worker_id: str
    """Of a message that was sent to one worker; else ""."""
    timestamp: int
    """When the answer was there, in ms since 1970, by this machine's clock."""
    status: str
    """QUEUED or FAILED."""
    error: str = ""
    error_code: str = ""
    """Of a failure: one of `by_cp.vocabulary.ErrorCode`."""
    execution_id: str = ""
    """Names the history: `by-replay <execution_id>`. "" of a message that was sent to one worker:
    such a message is not in the log."""
    retry_after_ms: int | None = None
    """Of a failure: when it is worth trying again, if that is known."""
