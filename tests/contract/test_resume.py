"""An agent that waits for a reply is resumed when the command that it sent is buried.

Else it would stay suspended for ever: nobody handles its command, so nobody replies.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from by_cp.log.commands import Request
from by_cp.log.commandtext import cut
from by_cp.log.contract import Store
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import cancel, give_up, settle
from tests.contract.surroundings import Surroundings
from tests.making import make_request

QUEUE, WAIT = RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.WAKE_AND_WAIT

HEADER = {
    "message_id": "message-1",
    "session_id": "session-1",
    "trace_id": "trace-1",
    "source_agent_type": "caller",
    "parent_message_id": "parent/1",
    "task_group_id": "group-1",
    "user_code": "acme",
    "user_name": "Ada",
    "metadata": {"list": [], "large": 2**70},
}
"""What an agent writes when it calls another and waits for the reply."""


def call_of_agent(policy: str = QUEUE, action_type: str = "ASK_AGENT", **header: Any) -> Request:
    """Make an agent's call of `echo`; `header` changes its header."""
    payload = {"action_type": action_type, "header": HEADER | header, "body": {"content": "hi"}}
    made = make_request("exec-1", policy, user_code="acme")
    call = structs.replace(made.call, metadata=json.dumps(HEADER["metadata"]))
    return structs.replace(made, call=call, command=cut(payload, "echo"))


async def resumes(around: Surroundings) -> list[tuple[str, Any]]:
    """What stands in the calling agent's control stream."""
    return [(e, json.loads(text)) for e, text in await around.control_stream("caller")]


@pytest.mark.parametrize("status", ["FAILED", "REJECTED"])
async def test_the_caller_hears_that_no_reply_will_come(
    store: Store, around: Surroundings, status: str
) -> None:
    """In by-framework's words, as the called agent's own worker would say that it failed."""
    await store.execute(call_of_agent())
    await settle(store, "exec-1", status, reason='no "image"/tag')
    [(execution_id, resume)] = await resumes(around)
    assert execution_id == ""
    assert resume == {
        "action_type": "RESUME",
        "header": {
            "message_id": "parent/1",
            "session_id": "session-1",
            "trace_id": "trace-1",
            "source_agent_type": "echo",
            "target_agent_type": "caller",
            "parent_message_id": "message-1",
            "task_group_id": "group-1",
            "user_code": "acme",
            "user_name": "Ada",
            "metadata": {"list": [], "large": 2**70},
        },
        "body": {
            "content": "",
            "status": "FAILED",
            "reply_data": {"error": 'no "image"/tag'},
        },
    }


@pytest.mark.parametrize(
    "header",
    [
        {"source_agent_type": ""},
        {"source_agent_type": None},
        {"source_agent_type": ["caller"]},
        {"parent_message_id": ""},
        {"parent_message_id": 7},
        {"source_agent_type": "c" * 2000},
    ],
)
async def test_nobody_is_resumed_who_does_not_wait(
    store: Store, around: Surroundings, header: dict[str, Any]
) -> None:
    """A client, an agent that wants no reply, one that cannot be found again."""
    await store.execute(call_of_agent(**header))
    await settle(store, "exec-1", "FAILED")
    assert await resumes(around) == []


async def test_a_reply_that_is_buried_is_not_replied_to(store: Store, around: Surroundings) -> None:
    """Else two agents would resume each other for ever."""
    await store.execute(call_of_agent(action_type="RESUME"))
    await settle(store, "exec-1", "FAILED")
    assert await resumes(around) == []


async def test_who_waits_for_the_outcome_is_told_that(store: Store, around: Surroundings) -> None:
    """Its call returns the failure; it was never suspended."""
    await store.execute(call_of_agent(WAIT))
    await settle(store, "exec-1", "FAILED")
    assert await resumes(around) == []


@pytest.mark.parametrize(("policy", "resumed"), [(QUEUE, ["no need"]), (WAIT, [])])
async def test_the_caller_hears_that_its_command_was_taken_back(
    store: Store, around: Surroundings, policy: str, resumed: list[str]
) -> None:
    """By whomever; once; who waits for the outcome is told by that."""
    await store.execute(call_of_agent(policy))
    for _ in range(2):
        await cancel(store, "exec-1", "no need")
    said = [resume["body"]["reply_data"]["error"] for _, resume in await resumes(around)]
    assert said == resumed


async def test_who_gave_up_is_not_resumed(store: Store, around: Surroundings) -> None:
    """It knows."""
    await store.execute(call_of_agent(WAIT))
    await give_up(store, "exec-1")
    assert await resumes(around) == []
