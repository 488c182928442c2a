"""The client: how a program outside of any agent sends messages to agents."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from by_cp.adapters import HasRedis, RedisOrStore, chosen
from by_cp.errors import InvalidInput
from by_cp.ids import message_id_of, trace_id_of
from by_cp.intents import PAYLOAD_BYTES_MAX, Route, execution_id_or_new, intent_of, object_of
from by_cp.protocol.byai import ByaiContent, serialize_byai_content
from by_cp.protocol.commands import AskAgentCommand, ResumeCommand, command_of
from by_cp.protocol.header import MessageHeader
from by_cp.protocol.responses import ExecutionStatus, SendMessageResponse
from by_cp.registration import CLIENT
from by_cp.router import AvailabilityRouter
from by_cp.vocabulary import AvailabilityStatus, RoutePolicy
from by_cp.wire import AvailabilityResult, DeliveryIntent


class GatewayInterceptor(Protocol):
    """Sees every message before it is sent, and may change it."""

    def before_send(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters to send with.

        They are `target_agent_type`, `session_id`, `user_code`, `user_name`, `content`,
        `action_type`, `parent_message_id`, `extra_payload` and `metadata`. What this raises is
        raised by `send_message`, and nothing is sent.
        """
        ...


class GatewayClient:
    """Sends messages to agents, wherever their workers are.

    Args:
        registry: only its `redis` counts, if `redis_client` is not given.
        redis_client: a client of `redis.asyncio`, or a store. Share one among as many
            GatewayClients as you like.
        interceptors: see every message before it is sent, in this order.
        max_payload_bytes: a larger command, encoded, is refused.
        registers: whether a message that is accepted is written into its session's registry, where
            by-framework's workers, and its `cancel_task`, look for it; without any, False is less
            work for the server.

    """

    def __init__(
        self,
        registry: HasRedis | None = None,
        redis_client: RedisOrStore | None = None,
        interceptors: Iterable[GatewayInterceptor] | None = None,
        *,
        max_payload_bytes: int = PAYLOAD_BYTES_MAX,
        registers: bool = True,
    ) -> None:
        self.registry = registry
        self.redis = chosen(redis_client, registry)
        self.interceptors = list(interceptors or ())
        self._router = AvailabilityRouter(
            self.redis, max_payload_bytes=max_payload_bytes, registers=registers
        )

    def add_interceptor(self, interceptor: GatewayInterceptor) -> None:
        """Let one more interceptor see every message, after the others."""
        self.interceptors.append(interceptor)

    async def send_message(
        self,
        target_agent_type: str,
        session_id: str,
        content: Any,
        user_code: str = "",
        user_name: str = "",
        action_type: str = "ASK_AGENT",
        parent_message_id: str = "",
        message_id: str | None = None,
        trace_id: str | None = None,
        extra_payload: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        target_worker_id: str | None = None,
        route_policy: str = RoutePolicy.FAIL_FAST,
        availability_timeout_ms: int = 30_000,
        region: str | None = None,
        priority: int = 0,
        execution_id: str | None = None,
        not_before_ms: int = 0,
        expires_at_ms: int = 0,
    ) -> SendMessageResponse:
        """Send a message to an agent type, or to one worker.

        Args:
            target_agent_type: who is to handle it.
            session_id: the conversation it belongs to.
            content: a text, or a list of JSON objects.
            user_code: the tenant, whose quota applies; "" is none.
            user_name: for people to read.
            action_type: ASK_AGENT or RESUME.
            parent_message_id: the message that this one follows from.
            message_id: its own id; made up if not given.
            trace_id: the trace it belongs to; a new one if not given.
            extra_payload: what else goes into the body; `wait_for_reply`, `status`, `reply_data`.
            metadata: goes into the header, and to the provider of a wake.
            target_worker_id: sends to this worker alone; see `deliver_to_worker` of the router.
            route_policy: what to do when nobody is online for it: a `RoutePolicy`.
            availability_timeout_ms: how long WAKE_AND_WAIT waits, and a wake may take.
            region: where it should be handled; with agent type and tenant it names a wake.
            priority: of what is held, the higher is delivered first.
            execution_id: to repeat a call whose answer never came: under one id a message is sent
                once, and the answer is what has become of it.
            not_before_ms: when it may be delivered at the earliest, in ms since 1970; 0 is at once.
                Needs WAKE_AND_QUEUE or QUEUE_ONLY.
            expires_at_ms: when it is of no use any more, in ms since 1970; 0 is never. It is not
                delivered later: it is rejected or, if it was held, buried with its payload.

        Raises:
            InvalidInput: an argument is not acceptable; nothing was sent.
            ExecutionConflict: the execution_id was used for another message.
            ServerError: the server is away; with an `execution_id` the call may be repeated.

        """
        params = {
            "target_agent_type": target_agent_type,
            "session_id": session_id,
            "user_code": user_code,
            "user_name": user_name,
            "content": content,
            "action_type": action_type,
            "parent_message_id": parent_message_id,
            "extra_payload": object_of("extra_payload", extra_payload),
            "metadata": object_of("metadata", metadata),
        }
        route = Route(
            *(route_policy, availability_timeout_ms, region, priority),
            *(not_before_ms, expires_at_ms),
        )
        ids = (execution_id, message_id, trace_id)
        return await self._send(self._intercepted(params), ids, route, target_worker_id)

    async def cancel(self, execution_id: str, reason: str = "") -> SendMessageResponse:
        """Take a message back that is still held; whoever waits for it is told.

        What became of it is the answer: `error_code` is EXECUTION_CANCELLED if it was taken back,
        else it was delivered, or rejected for another reason, before.

        Raises:
            UnknownExecution: the log does not know it.
            IllegalTransition: it was settled in the call that sent it.
            ServerError: the server is away.

        """
        result = await self._router.cancel(execution_id, reason=reason)
        return _response(DeliveryIntent(execution_id, "", "", "", CLIENT, ""), result)

    async def _send(
        self,
        params: Mapping[str, Any],
        ids: tuple[str | None, str | None, str | None],
        route: Route,
        target_worker_id: str | None,
    ) -> SendMessageResponse:
        execution_id, message_id, trace_id = ids
        if target_worker_id and execution_id is not None:
            raise InvalidInput("what is sent to one worker is not in the log: no execution_id")
        execution_id = execution_id_or_new(execution_id)
        command = _command(
            params,
            message_id or message_id_of(execution_id),
            trace_id or trace_id_of(execution_id),
        )
        intent = intent_of(command, execution_id, CLIENT, route)
        if target_worker_id:
            result = await self._router.deliver_to_worker(intent, target_worker_id)
        else:
            result = await self._router.prepare_delivery(intent)
        return _response(intent, result)

    def _intercepted(self, params: dict[str, Any]) -> dict[str, Any]:
        names = params.keys()
        for interceptor in self.interceptors:
            changed: object = interceptor.before_send(params)
            if not isinstance(changed, dict) or not names <= changed.keys():
                raise TypeError(f"{interceptor!r}.before_send must return all the parameters")
            params = changed
        return params


class ByaiGatewayClient(GatewayClient):
    """A GatewayClient for BaiYing messages."""

    async def send_message(
        self,
        target_agent_type: str,
        session_id: str,
        content: ByaiContent,
        user_code: str = "",
        user_name: str = "",
        action_type: str = "ASK_AGENT",
        parent_message_id: str = "",
        message_id: str | None = None,
        trace_id: str | None = None,
        extra_payload: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        target_worker_id: str | None = None,
        route_policy: str = RoutePolicy.FAIL_FAST,
        availability_timeout_ms: int = 30_000,
        region: str | None = None,
        priority: int = 0,
        execution_id: str | None = None,
        not_before_ms: int = 0,
        expires_at_ms: int = 0,
    ) -> SendMessageResponse:
        """Send a text, a BaiYing message or a list of them; all else as in `GatewayClient`."""
        return await super().send_message(
            target_agent_type=target_agent_type,
            session_id=session_id,
            content=serialize_byai_content(content),
            user_code=user_code,
            user_name=user_name,
            action_type=action_type,
            parent_message_id=parent_message_id,
            message_id=message_id,
            trace_id=trace_id,
            extra_payload=extra_payload,
            metadata=metadata,
            target_worker_id=target_worker_id,
            route_policy=route_policy,
            availability_timeout_ms=availability_timeout_ms,
            region=region,
            priority=priority,
            execution_id=execution_id,
            not_before_ms=not_before_ms,
            expires_at_ms=expires_at_ms,
        )


def _command(
    params: Mapping[str, Any], message_id: str, trace_id: str
) -> AskAgentCommand | ResumeCommand:
    header = MessageHeader(
        message_id=message_id,
        session_id=params["session_id"],
        trace_id=trace_id,
        target_agent_type=params["target_agent_type"],
        parent_message_id=params["parent_message_id"] or "",
        user_code=params["user_code"] or "",
        user_name=params["user_name"] or "",
        metadata=object_of("metadata", params["metadata"]),
    )
    extra_payload = object_of("extra_payload", params["extra_payload"])
    return command_of(params["action_type"], header, params["content"], extra_payload)


def _response(intent: DeliveryIntent, result: AvailabilityResult) -> SendMessageResponse:
    success = result.status != AvailabilityStatus.REJECT
    return SendMessageResponse(
        success=success,
        message_id=intent.message_id,
        trace_id=intent.trace_id,
        target_worker_id=result.target_worker_id,
        timestamp=time.time_ns() // 1_000_000,
        status=ExecutionStatus.QUEUED if success else ExecutionStatus.FAILED,
        error=result.error,
        error_code=result.error_code,
        execution_id=result.execution_id,
        retry_after_ms=result.retry_after_ms,
    )
