"""The context of an agent at work: how one agent calls another."""

from __future__ import annotations

from typing import Any, ClassVar, NotRequired, TypedDict

from by_cp.adapters import RedisOrStore, chosen
from by_cp.errors import InvalidInput
from by_cp.ids import message_id_of, new_message_id
from by_cp.intents import PAYLOAD_BYTES_MAX, Route, execution_id_or_new, intent_of, object_of
from by_cp.protocol.byai import ByaiContent, ByaiContentCodec, ContentCodec, WireContent
from by_cp.protocol.commands import AskAgentCommand
from by_cp.protocol.header import MessageHeader
from by_cp.protocol.responses import ExecutionStatus
from by_cp.router import AvailabilityRouter
from by_cp.vocabulary import AvailabilityStatus, RoutePolicy
from by_cp.wire import AvailabilityResult


class CallResult(TypedDict):
    """What became of a call."""

    status: str
    """QUEUED: it was delivered, or is held and will be. FAILED: it was not accepted."""
    message_id: str
    parent_message_id: str
    target_agent_type: str
    """Who got it: the one that was called, or its fallback."""
    execution_id: str
    """Names the history: `by-replay <execution_id>`."""
    error: NotRequired[str]
    """Of a failure."""
    error_code: NotRequired[str]
    """Of a failure: one of `by_cp.vocabulary.ErrorCode`."""
    retry_after_ms: NotRequired[int | None]
    """Of a failure: when it is worth trying again, if that is known."""


class AgentContext:
    """What an agent that handles a command knows of it, and needs to call others.

    Args:
        session_id: the conversation that the command belongs to.
        trace_id: the trace that it belongs to.
        redis_client: a client of `redis.asyncio`, or a store.
        current_agent_id: the agent type of the one that handles it; replies go there.
        message_id: the message that is being handled: the parent of those that are sent.
        parent_message_id: the message that that one followed from.
        user_code: the tenant, whose quota applies to what is sent.
        user_name: for people to read.
        content_codec: makes the agent's own content into wire content, if not the default one.
        max_payload_bytes: a larger command, encoded, is refused.
        registers: whether a message that is accepted is written into its session's registry, where
            by-framework's workers, and its `cancel_task`, look for it; without any, False is less
            work for the server.

    """

    default_codec: ClassVar[ContentCodec | None] = None

    def __init__(
        self,
        session_id: str,
        trace_id: str,
        redis_client: RedisOrStore | None = None,
        *,
        current_agent_id: str = "",
        message_id: str = "",
        parent_message_id: str = "",
        user_code: str | None = None,
        user_name: str | None = None,
        content_codec: ContentCodec | None = None,
        max_payload_bytes: int = PAYLOAD_BYTES_MAX,
        registers: bool = True,
    ) -> None:
        self.session_id = session_id
        self.trace_id = trace_id
        self.redis = chosen(redis_client, None)
        self.current_agent_id = current_agent_id
        self.message_id = message_id
        self.parent_message_id = parent_message_id
        self.user_code = "" if user_code is None else user_code
        self.user_name = "" if user_name is None else user_name
        self.content_codec = content_codec or self.default_codec
        # by-framework's runners look at these two, under these names, when a handler returns.
        self._is_suspended = False
        self._permission_transferred = False
        self._router = AvailabilityRouter(
            self.redis, max_payload_bytes=max_payload_bytes, registers=registers
        )

    @property
    def is_suspended(self) -> bool:
        """Whether the agent waits for the reply to a call that was accepted."""
        return self._is_suspended

    @property
    def permission_transferred(self) -> bool:
        """Whether a call was accepted that answers the user in the agent's place."""
        return self._permission_transferred

    def generate_message_id(self) -> str:
        """Return a fresh id for a message."""
        return new_message_id()

    async def call_agent(
        self,
        target_agent_type: str,
        content: Any,
        extra_payload: dict[str, Any] | None = None,
        wait_for_reply: bool = True,  # noqa: FBT001, FBT002 - by-framework's signature
        metadata: dict[str, Any] | None = None,
        message_id: str | None = None,
        parent_message_id: str | None = None,
        route_policy: str = RoutePolicy.FAIL_FAST,
        availability_timeout_ms: int = 30_000,
        region: str | None = None,
        priority: int = 0,
        execution_id: str | None = None,
        not_before_ms: int = 0,
        expires_at_ms: int = 0,
    ) -> CallResult:
        """Call another agent.

        Args:
            target_agent_type: who is to handle it.
            content: a text or a list of JSON objects; with a content codec, whatever that takes.
            extra_payload: what else goes into the body.
            wait_for_reply: the reply comes back to this agent, which is suspended until then;
                otherwise the other agent answers in its place. Only a call that was accepted
                changes that.
            metadata: goes into the header, and to the provider of a wake.
            message_id: its own id; made up if not given.
            parent_message_id: what it follows from; the message being handled, if not given.
            route_policy: this and the others as in `GatewayClient.send_message`.
            availability_timeout_ms: how long WAKE_AND_WAIT waits, and a wake may take.
            region: where it should be handled.
            priority: of what is held, the higher is delivered first.
            execution_id: to repeat a call whose answer never came.
            not_before_ms: when it may be delivered at the earliest.
            expires_at_ms: when it is of no use any more.

        Raises:
            InvalidInput: an argument is not acceptable; nothing was sent.
            ExecutionConflict: the execution_id was used for another call.
            ServerError: the server is away; with an `execution_id` the call may be repeated.

        """
        execution_id = execution_id_or_new(execution_id)
        header = MessageHeader(
            message_id=message_id or message_id_of(execution_id),
            session_id=self.session_id,
            trace_id=self.trace_id,
            source_agent_type=self.current_agent_id if wait_for_reply else "",
            target_agent_type=target_agent_type,
            parent_message_id=parent_message_id or self.message_id,
            user_code=self.user_code,
            user_name=self.user_name,
            metadata=object_of("metadata", metadata),
        )
        extra = object_of("extra_payload", extra_payload)
        extra.pop("wait_for_reply", None)
        command = AskAgentCommand(header, self._wire_content(content), wait_for_reply, extra)
        route = Route(
            *(route_policy, availability_timeout_ms, region, priority),
            *(not_before_ms, expires_at_ms),
        )
        return await self._send(command, execution_id, route)

    async def _send(self, command: AskAgentCommand, execution_id: str, route: Route) -> CallResult:
        intent = intent_of(command, execution_id, self.current_agent_id, route)
        result = await self._router.prepare_delivery(intent)
        if result.status != AvailabilityStatus.REJECT:
            self._is_suspended |= command.wait_for_reply
            self._permission_transferred |= not command.wait_for_reply
        return _told(command.header, result)

    def _wire_content(self, content: Any) -> WireContent:
        if self.content_codec is not None:
            return self.content_codec.serialize(content)
        if isinstance(content, str) or (
            isinstance(content, list) and all(isinstance(item, dict) for item in content)
        ):
            return content
        raise InvalidInput(
            "content must be a str or a list of dicts; anything else needs a content_codec"
        )


class ByaiAgentContext(AgentContext):
    """An AgentContext for BaiYing messages."""

    default_codec = ByaiContentCodec()

    async def call_agent(
        self,
        target_agent_type: str,
        content: ByaiContent,
        extra_payload: dict[str, Any] | None = None,
        wait_for_reply: bool = True,  # noqa: FBT001, FBT002 - by-framework's signature
        metadata: dict[str, Any] | None = None,
        message_id: str | None = None,
        parent_message_id: str | None = None,
        route_policy: str = RoutePolicy.FAIL_FAST,
        availability_timeout_ms: int = 30_000,
        region: str | None = None,
        priority: int = 0,
        execution_id: str | None = None,
        not_before_ms: int = 0,
        expires_at_ms: int = 0,
    ) -> CallResult:
        """Call with a text, a BaiYing message or a list of them; else as in `AgentContext`."""
        return await super().call_agent(
            target_agent_type=target_agent_type,
            content=content,
            extra_payload=extra_payload,
            wait_for_reply=wait_for_reply,
            metadata=metadata,
            message_id=message_id,
            parent_message_id=parent_message_id,
            route_policy=route_policy,
            availability_timeout_ms=availability_timeout_ms,
            region=region,
            priority=priority,
            execution_id=execution_id,
            not_before_ms=not_before_ms,
            expires_at_ms=expires_at_ms,
        )


def _told(header: MessageHeader, result: AvailabilityResult) -> CallResult:
    accepted = result.status != AvailabilityStatus.REJECT
    told: CallResult = {
        "status": ExecutionStatus.QUEUED if accepted else ExecutionStatus.FAILED,
        "message_id": header.message_id,
        "parent_message_id": header.parent_message_id,
        "target_agent_type": result.selected_agent_type or header.target_agent_type,
        "execution_id": result.execution_id,
    }
    if not accepted:
        told["error"] = result.error
        told["error_code"] = result.error_code
        told["retry_after_ms"] = result.retry_after_ms
    return told
