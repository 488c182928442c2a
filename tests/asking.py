"""How tests ask a store, below the router, and what they look at afterwards."""

from __future__ import annotations

import secrets
from typing import Any

from msgspec import structs

from by_cp.log.answers import Receipt
from by_cp.log.commands import Request
from by_cp.log.commandtext import cut
from by_cp.log.contract import Store
from by_cp.statemachine.states import State
from by_cp.statemachine.table import step
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request


def request(agent_type: str, policy: str = RoutePolicy.WAKE_AND_QUEUE, **fields: Any) -> Request:
    """Make a request with an id of its own, whose command has the header that senders give it."""
    made = make_request(f"exec-{secrets.token_hex(6)}", policy, agent_type=agent_type, **fields)
    header = {"message_id": "message-1", "session_id": "session-1", "trace_id": "trace-1"}
    body = {"content": made.execution_id}
    payload = {"action_type": "ASK_AGENT", "header": header, "body": body}
    return structs.replace(made, command=cut(payload, agent_type))


async def ask(
    store: Store, agent_type: str, policy: str = RoutePolicy.WAKE_AND_QUEUE, **fields: Any
) -> Receipt:
    """Execute such a request."""
    return (await store.execute(request(agent_type, policy, **fields))).receipt


async def state(store: Store, execution_id: str) -> State | None:
    """Return where an execution stands."""
    reached: State | None = None
    for entry in await store.history(execution_id):
        reached = step(execution_id, reached, entry.event.name).dest
    return reached


async def events(store: Store, execution_id: str) -> list[str]:
    """Return the names of an execution's events."""
    return [entry.event.name for entry in await store.history(execution_id)]
