"""`by-cp send`: one message, and what became of it."""

from __future__ import annotations

import dataclasses

from by_cp.cli.looking import Look, show
from by_cp.cli.outcome import in_words, last_step
from by_cp.cli.running import AsJson, Url, run, server_url
from by_cp.control_plane import ControlPlane
from by_cp.vocabulary import RoutePolicy

REJECTED = 3
"""Exit code when the message was not accepted."""


def send(
    agent_type: str,
    content: str,
    *,
    policy: RoutePolicy = RoutePolicy.FAIL_FAST,
    session: str = "cli",
    tenant: str = "",
    region: str = "",
    priority: int = 0,
    timeout_ms: int = 30_000,
    execution_id: str | None = None,
    delay_ms: int = 0,
    expires_in_ms: int = 0,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Send one message to an agent.

    Example: `by-cp send summarizer 'Summarize this.' --policy wake-and-wait`

    Exit codes: 0 delivered or held; 3 rejected; 1 another error; 2 wrong usage.

    Args:
        agent_type: Whom it is for.
        content: What to say.
        policy: What to do when nobody of that type is online.
        session: The session that it belongs to.
        tenant: The user code; quotas count by it.
        region: Where the agent is to run.
        priority: Higher is delivered first.
        timeout_ms: How long WAKE_AND_WAIT waits, in milliseconds.
        execution_id: Repeat a send under the id of the first: it is executed once.
        delay_ms: Deliver it so many milliseconds from now at the earliest; it is held until then.
        expires_in_ms: After so many milliseconds it is of no use, and not delivered any more.
        as_json: Print one JSON document.
        url: The server.

    """
    policy_name = policy.value

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            response = await plane.client.send_message(
                agent_type,
                session,
                content,
                user_code=tenant,
                route_policy=policy_name,
                availability_timeout_ms=timeout_ms,
                region=region,
                priority=priority,
                execution_id=execution_id,
                not_before_ms=await _from_now(plane, delay_ms),
                expires_at_ms=await _from_now(plane, expires_in_ms),
            )
            last = await last_step(plane, response)
        told = dataclasses.asdict(response) | {"state": last.after}
        show(Look(told, in_words(response, last, agent_type)), as_json=as_json)
        return 0 if response.success else REJECTED

    return run(work())


async def _from_now(plane: ControlPlane, milliseconds: int) -> int:
    """Return the moment so long from now on the log's clock; 0 if that is at once or never."""
    return await plane.store.now_ms() + milliseconds if milliseconds else 0
