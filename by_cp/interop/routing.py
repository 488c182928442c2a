"""What takes the place of by-framework's decision, and of the bookkeeping that follows it.

by-framework decides first, then writes down the execution, then delivers: three steps, between
which it can crash. by-cp does all three in the decision. So what it answers is, in by-framework's
words, QUEUE_PENDING whenever the command was accepted: there is nothing left to deliver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any

from by_cp.errors import InvalidInput, ServerError
from by_cp.ids import new_execution_id
from by_cp.interop import calling
from by_cp.router import AvailabilityRouter
from by_cp.vocabulary import AvailabilityStatus, ErrorCode
from by_cp.wire import AvailabilityResult, DeliveryIntent

_Method = Callable[..., Awaitable[Any]]

_accepted: ContextVar[str] = ContextVar("by_cp_accepted", default="")
"""by-framework's id of what was last sent in this task, if it was accepted."""

_last: ContextVar[str] = ContextVar("by_cp_last", default="")
"""by-cp's id of what was last sent in this task."""


def last_execution_id() -> str:
    """Return what the log calls the message that was last sent in this task, rejected or not.

    by-framework's answers do not say it. `by-replay` tells the history that it names. It is "" when
    there is none: nothing was sent, or what was sent could not be read, or the server was away.
    """
    return _last.get()


def replacing_decision(original: _Method) -> _Method:
    """Return what is called instead of `AvailabilityRouter.prepare_delivery`."""

    @wraps(original)
    async def prepare_delivery(router: Any, intent: Any) -> Any:
        _accepted.set("")
        _last.set("")
        payload = await calling.started(intent.command_payload)
        try:
            ours = _intent(intent, payload)
            result = await AvailabilityRouter(router.redis).prepare_delivery(ours)
        except InvalidInput as error:
            result = AvailabilityResult(
                status=AvailabilityStatus.REJECT,
                error=str(error),
                error_code=ErrorCode.AGENT_TYPE_UNAVAILABLE,
            )
        except ServerError as error:
            # by-framework's callers know the client library's errors.
            raise error.__cause__ or error  # noqa: B904
        _last.set(result.execution_id)
        if result.status != AvailabilityStatus.REJECT:
            _accepted.set(intent.execution_id)
        return _told(result, intent.execution_id)

    return prepare_delivery


def replacing_bookkeeping(original: _Method) -> _Method:
    """Return what is called instead of `WorkerRegistry.initialize_execution`.

    What by-cp delivered is written down already, and the worker may have written more since.
    """

    @wraps(original)
    async def initialize_execution(registry: Any, execution: dict[str, Any]) -> Any:
        accepted = _accepted.get()
        if accepted and accepted == execution.get("execution_id"):
            return None
        return await original(registry, execution)

    return initialize_execution


def _intent(intent: Any, payload: dict[str, Any]) -> DeliveryIntent:
    """Return by-framework's intent as by-cp's.

    Its id has 32 random bits, of which a log that keeps its executions meets the same one twice;
    by-framework shows it to nobody, so the execution gets another.
    """
    return DeliveryIntent(
        execution_id=new_execution_id(),
        message_id=intent.message_id or "",
        session_id=intent.session_id or "",
        trace_id=intent.trace_id or "",
        source=intent.source or "",
        target_agent_type=intent.target_agent_type,
        user_code=intent.user_code or "",
        region=intent.region or "",
        priority=intent.priority,
        policy=intent.policy,
        timeout_ms=max(0, int(intent.timeout_ms)),
        command_payload=payload,
        metadata=intent.metadata or {},
    )


def _told(result: AvailabilityResult, execution_id: str) -> Any:
    rejected = result.status == AvailabilityStatus.REJECT
    status = AvailabilityStatus.REJECT if rejected else AvailabilityStatus.QUEUE_PENDING
    return import_module("by_framework.core.availability").AvailabilityResult(
        status=status.value,
        stream_name=result.stream_name,
        target_worker_id=result.target_worker_id,
        error=result.error,
        error_code=str(result.error_code),
        selected_agent_type=result.selected_agent_type,
        execution_id=execution_id,
    )
