"""The router: the one way by which commands come into the control plane.

`GatewayClient.send_message` and `AgentContext.call_agent` both end here, so both behave alike. The
router decides nothing: the log does, and delivers in the same atomic call. What is left to the
router is to check what comes in, and to wait where the policy says so.

A caller that waits has exactly one end. Whatever comes first, the outcome, the end of its time or
its own cancellation, the log is asked last: giving up is a command like any other, and its answer
is the truth, "delivered" included.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from by_cp.adapters import HasRedis, RedisOrStore, chosen, store_of
from by_cp.errors import ByCpError, ServerError
from by_cp.intents import PAYLOAD_BYTES_MAX, command_text, policy_of, request_of
from by_cp.keys import RedisKeys
from by_cp.log.answers import Answer, Outcome, Receipt
from by_cp.log.commands import Cancel, GiveUp, Request
from by_cp.log.contract import Store
from by_cp.names import check_name
from by_cp.vocabulary import SENTENCES, WAITING, AvailabilityStatus, ErrorCode, RoutePolicy
from by_cp.wire import AvailabilityResult, DeliveryIntent

CANCELLED = "The caller of agent_type '%s' was cancelled while it waited"
NOT_ONLINE = "Target worker '%s' is not online or not registered"

_DELIVERED = frozenset(
    {
        AvailabilityStatus.DELIVER_NOW,
        AvailabilityStatus.WAIT_AND_DELIVER,
        AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE,
    }
)


class AvailabilityRouter:
    """Delivers commands, or holds, wakes and waits, as each one's route policy says.

    Args:
        redis: a client of `redis.asyncio`, or a store.
        registry: only its `redis` counts, if `redis` is None; whether anyone is online is seen by
            the log itself, in the call that decides.
        max_payload_bytes: a larger command, encoded, is refused.
        registers: whether a message that is accepted is written into its session's registry, where
            by-framework's workers, and its `cancel_task`, look for it; without any, False is less
            work for the server.

    """

    def __init__(
        self,
        redis: RedisOrStore | None,
        registry: HasRedis | None = None,
        *,
        max_payload_bytes: int = PAYLOAD_BYTES_MAX,
        registers: bool = True,
    ) -> None:
        self._store: Store = store_of(chosen(redis, registry))
        self._max_payload_bytes = max_payload_bytes
        self._registers = registers
        self._abandoning: set[asyncio.Task[None]] = set()

    async def prepare_delivery(self, intent: DeliveryIntent) -> AvailabilityResult:
        """Deliver a command, or do what its policy says when nobody is online for it.

        Whatever the result says is done already: callers write nothing. An intent that is repeated
        under its execution_id is executed once; its result is then what has come of it since.

        Raises:
            InvalidInput: the intent is not acceptable; nothing was written.
            ExecutionConflict: the execution_id was used for another command.
            ServerError: the server is away; whether the command was taken is not known, so repeat
                it under the same execution_id.

        """
        request = request_of(
            intent,
            inbox=self._store.inbox,
            max_payload_bytes=self._max_payload_bytes,
            registers=self._registers,
        )
        try:
            if request.call.policy == RoutePolicy.WAKE_AND_WAIT:
                return _result(await self._ask_and_wait(request))
            return _result(_told(await self._store.execute(request)))
        except ServerError as error:
            error.add_note(
                f"Repeated under execution_id {request.execution_id!r} it is executed only once."
            )
            raise

    async def deliver_to_worker(self, intent: DeliveryIntent, worker_id: str) -> AvailabilityResult:
        """Deliver a command to one worker: for debugging, past every policy but SEND_ANYWAY.

        It is not in the log, and it is not idempotent. With SEND_ANYWAY the worker need not be
        online; the intent's agent type may be empty.

        Raises:
            InvalidInput: the intent is not acceptable; nothing was written.
            ServerError: the server is away; the command may have been delivered or not.

        """
        worker_id = check_name("target_worker_id", worker_id)
        check = policy_of(intent.policy) is not RoutePolicy.SEND_ANYWAY
        agent_type = check_name("target_agent_type", intent.target_agent_type, empty_allowed=True)
        text = command_text(intent, agent_type, self._max_payload_bytes)
        if await self._store.send_to_worker(worker_id, text.whole, check=check):
            return AvailabilityResult(
                status=AvailabilityStatus.DELIVER_NOW,
                stream_name=RedisKeys.worker_ctrl_stream(worker_id),
                target_worker_id=worker_id,
                delivered=True,
            )
        return AvailabilityResult(
            status=AvailabilityStatus.REJECT,
            target_worker_id=worker_id,
            error=NOT_ONLINE % worker_id,
            error_code=ErrorCode.WORKER_NOT_ONLINE,
        )

    async def cancel(
        self, execution_id: str, *, reason: str = "", by: str = "caller"
    ) -> AvailabilityResult:
        """Take a command back that is still held. Whatever comes first, it has one outcome.

        The result is that outcome: EXECUTION_CANCELLED, or what became of it before.

        Raises:
            UnknownExecution: the log does not know it.
            IllegalTransition: it was settled in the call that requested it, and never held.
            ServerError: the server is away; it is safe to cancel again.

        """
        execution_id = check_name("execution_id", execution_id)
        command = Cancel(execution_id=execution_id, reason=reason, by=by)
        return _result(await self._store.execute(command))

    async def _ask_and_wait(self, request: Request) -> Receipt | Outcome:
        with self._store.waiting(request.execution_id) as told:
            # In a task of its own: a call that is cancelled half way is executed or not, and only
            # who sees its answer knows whether there is anything to give up.
            asking = asyncio.ensure_future(self._store.execute(request))
            try:
                answer = await asyncio.shield(asking)
                if answer.receipt.status != WAITING or answer.outcome is not None:
                    return _told(answer)
                done, _ = await asyncio.wait({told}, timeout=request.call.timeout_ms / 1000)
                return (
                    told.result()
                    if done
                    else await self._give_up(
                        request, SENTENCES["timeout"] % request.call.agent_type
                    )
                )
            except asyncio.CancelledError:
                await self._abandon(request, asking)
                raise

    async def _give_up(self, request: Request, reason: str) -> Outcome:
        return await self._store.execute(GiveUp(execution_id=request.execution_id, reason=reason))

    async def _abandon(self, request: Request, asking: asyncio.Future[Answer]) -> None:
        """Give up for a caller that was cancelled; a second cancellation does not stop it."""

        async def give_up() -> None:
            # Its errors are nobody's any more; what is left waiting is swept at its deadline.
            with suppress(ByCpError):
                answer = await asking
                if answer.receipt.status == WAITING and answer.outcome is None:
                    await self._give_up(request, CANCELLED % request.call.agent_type)

        task = asyncio.ensure_future(give_up())
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)
        await asyncio.shield(task)


def _told(answer: Answer) -> Receipt | Outcome:
    return answer.receipt if answer.outcome is None else answer.outcome


def _result(told: Receipt | Outcome) -> AvailabilityResult:
    """Return what is said to the caller."""
    status = AvailabilityStatus(told.status)
    delivered = status in _DELIVERED
    stream_name = ""
    if delivered:
        stream_name = RedisKeys.ctrl_stream(told.agent_type)
    elif status is AvailabilityStatus.QUEUE_PENDING:
        stream_name = RedisKeys.control_plane_delivery_pending_stream()
    fallback = status is AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
    return AvailabilityResult(
        status=status,
        stream_name=stream_name,
        error=told.reason,
        error_code=told.code,
        selected_agent_type=told.agent_type if fallback else "",
        execution_id=told.execution_id,
        delivered=delivered,
        retry_after_ms=None if told.retry_after_ms < 0 else told.retry_after_ms,
    )
