"""Short ways to make what most tests need: a call, a request, a settle of a signal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from by_cp.log.commands import Member, Request, Settle
from by_cp.log.commandtext import cut
from by_cp.log.contract import WakeSignal
from by_cp.statemachine.events import Call
from by_cp.vocabulary import RoutePolicy


def make_call(
    policy: str = RoutePolicy.FAIL_FAST,
    *,
    agent_type: str = "echo",
    user_code: str = "",
    region: str = "",
    priority: int = 0,
    timeout_ms: int = 30_000,
) -> Call:
    """Make a call whose rest does not matter."""
    return Call(
        *(agent_type, user_code, region, policy, priority, timeout_ms),
        *("session-1", "trace-1", "message-1", "client"),
    )


def make_request(
    execution_id: str, policy: str = RoutePolicy.FAIL_FAST, *, inbox: str = "", **of_call: Any
) -> Request:
    """Make a request; its command names its execution."""
    call = make_call(policy, **of_call)
    payload = {"action_type": "ASK_AGENT", "header": {}, "body": {"content": execution_id}}
    command = cut(payload, call.agent_type)
    return Request(execution_id=execution_id, call=call, command=command, inbox=inbox)


def make_settle(signal: WakeSignal, members: Iterable[Member], status: str, **rest: Any) -> Settle:
    """Make the settling of a signal's wake."""
    request = signal.request
    return Settle(
        agent_type=request.target_agent_type,
        user_code=request.user_code,
        region=request.region,
        epoch=signal.epoch,
        status=status,
        members=tuple(members),
        by="a-manager",
        **rest,
    )
