"""What a provider answers, made into a decision that the log can take, whatever it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from by_cp.errors import InvalidInput
from by_cp.names import check_name
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

REASON_LENGTH_MAX = 2_000
"""A longer reason, in characters, is cut: it goes into one event for each execution that waits."""

WORKER_IDS_MAX = 16
"""So many workers are named in a decision; more are left out."""

RETRY_AFTER_MS_MAX = 7 * 24 * 3600 * 1000

PROGRESS = frozenset({WakeupDecisionStatus.STARTING, WakeupDecisionStatus.QUEUED})
"""Decisions after which a worker is awaited."""


def understood(answer: object, request: WakeupRequest) -> WakeupDecision:
    """Return a provider's answer as a sound decision about the request; FAILED if it is none.

    An answer may be a `WakeupDecision`, by-framework's own class of that name, or a mapping.
    """
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        fields: dict[str, Any] = dataclasses.asdict(answer)
    elif isinstance(answer, Mapping):
        fields = dict(answer)
    else:
        kind = type(answer).__name__
        return failed(request, f"the provider answered with {kind}, not with a WakeupDecision")
    if not fields.get("status"):
        return failed(request, "the provider's answer has no status")
    try:
        return _checked(WakeupDecision.from_dict(fields), request)
    except (InvalidInput, OverflowError) as error:
        return failed(request, f"the provider's answer cannot be read: {error}")


def failed(request: WakeupRequest, reason: str) -> WakeupDecision:
    """Return the decision that a wake has failed."""
    return WakeupDecision(
        execution_id=request.execution_id,
        target_agent_type=request.target_agent_type,
        status=WakeupDecisionStatus.FAILED,
        region=request.region,
        reason=printable(reason),
    )


def printable(reason: str) -> str:
    """Return a reason that can be encoded and is not too long."""
    text = reason.encode(errors="replace").decode()
    return text if len(text) <= REASON_LENGTH_MAX else text[: REASON_LENGTH_MAX - 1] + "…"


def _checked(decision: WakeupDecision, request: WakeupRequest) -> WakeupDecision:
    # str() of a StrEnum's member is its value; of an Enum that is a str, as by-framework may have
    # one, it is not.
    status = decision.status.rpartition(".")[2]
    if status not in WakeupDecisionStatus.__members__:
        return failed(request, f"the provider answered with the unknown status {status!r}")
    for worker_id in decision.worker_ids:
        check_name("worker_ids", worker_id)
    retry_after_ms = decision.retry_after_ms
    return dataclasses.replace(
        decision,
        execution_id=request.execution_id,
        target_agent_type=request.target_agent_type,
        status=WakeupDecisionStatus(status),
        selected_agent_type=check_name(
            "selected_agent_type", decision.selected_agent_type, empty_allowed=True
        ),
        worker_ids=decision.worker_ids[:WORKER_IDS_MAX],
        retry_after_ms=(
            None if retry_after_ms is None else max(0, min(retry_after_ms, RETRY_AFTER_MS_MAX))
        ),
        reason=printable(decision.reason),
    )
