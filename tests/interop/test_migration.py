"""Changing over from by-framework's reference components, and back; see docs/migration.md."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import ModuleType
from typing import Any

import by_framework
import pytest
from by_framework.core.availability import WakeupDecision, WakeupDecisionStatus, WakeupRequest
from by_framework.core.delivery_gate import DeliveryGate
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

from by_cp import interop
from by_cp.keys import RedisKeys
from by_cp.log.commands import GiveUp
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_observed import BY_CP, there
from tests.interop.test_policies import PENDING, commands
from tests.interop.ways import ACCEPTED, by_client
from tests.manager.running import running
from tests.test_docs import example
from tests.waiting import until


def stock(redis: Redis) -> Any:
    """By-framework's client."""
    return by_framework.GatewayClient(registry=WorkerRegistry(redis))


async def execution_ids(redis: Redis, session_id: str) -> list[str]:
    """What by-framework calls the executions of a session."""
    found = await WorkerRegistry(redis).get_all_session_executions(session_id)
    return [execution["execution_id"] for execution in found]


async def test_what_the_reference_gate_delivered_is_not_delivered_again(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """It leaves in the stream what it has delivered; what it stranded is delivered now."""
    client = stock(theirs)
    for session_id in ("delivered", "stranded"):
        await client.send_message("echo", session_id, session_id, route_policy="QUEUE_ONLY")
    [delivered] = await execution_ids(theirs, "delivered")
    worker = await start("echo")
    assert await DeliveryGate(theirs).dispatch_ready(delivered) == 1
    await until(lambda: worker.contents() == ["delivered"])
    async with running(Manager(redis, StartingStock(start)).run()):
        await until(lambda: there(redis, PENDING, 0))
        await until(lambda: len(worker.handled) == 2)
    assert worker.contents() == ["delivered", "stranded"]
    [aside] = await RedisStore(redis).quarantined()
    assert aside.reason.startswith("it was delivered before")


async def test_a_provider_of_by_frameworks_is_asked_as_it_is(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """It is given what it expects, and answers with by-framework's own decision."""
    asked = []

    class Theirs:
        """Written for by-framework's controller."""

        async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
            """Start a worker."""
            asked.append(request)
            worker = await start(request.target_agent_type)
            return WakeupDecision(
                execution_id=request.execution_id,
                target_agent_type=request.target_agent_type,
                status=WakeupDecisionStatus.READY,
                worker_ids=[worker.worker_id],
            )

    async with running(Manager(redis, Theirs()).run()):
        send = by_client(stock(theirs))
        metadata = {"image": "v2"}
        assert await send("echo", route_policy="WAKE_AND_WAIT", metadata=metadata) == ACCEPTED
    [request] = asked
    fields = set(WakeupRequest.__dataclass_fields__)
    assert all(hasattr(request, field) for field in fields)
    assert (request.policy, request.metadata) == ("WAKE_AND_WAIT", {"image": "v2"})


async def test_clients_change_over_one_by_one(redis: Redis, theirs: Redis, start: Start) -> None:
    """Switched, not switched and by-cp's own, they share one wake, and all are served."""
    provider = StartingStock(start)
    send = by_client(stock(theirs))
    async with running(Manager(redis, provider).run()):
        assert await send("echo", "before", route_policy="WAKE_AND_QUEUE") == ACCEPTED
        with interop.installed():
            assert await send("echo", "switched", route_policy="WAKE_AND_QUEUE") == ACCEPTED
        assert await send("echo", "back", route_policy="WAKE_AND_WAIT") == ACCEPTED
        await until(lambda: len(provider.workers["echo"].handled) == 3)
    assert sorted(provider.workers["echo"].contents()) == ["back", "before", "switched"]
    assert len(provider.asked) == 1


async def test_what_by_cp_holds_can_be_dispatched_by_the_reference_gate(
    redis: Redis, theirs: Redis
) -> None:
    """On the way back: it is a PendingDelivery like any other, once no manager of by-cp runs."""
    with interop.installed():
        await stock(theirs).send_message("echo", "s", "held", route_policy="QUEUE_ONLY")
        execution_id = interop.last_execution_id()
    assert await DeliveryGate(theirs).dispatch_ready(execution_id) == 1
    [command] = await commands(redis, "echo")
    assert command["body"]["content"] == "held"


async def test_what_is_held_can_be_taken_back(redis: Redis, theirs: Redis) -> None:
    """On the way back, too: then no manager will ever deliver it."""
    with interop.installed():
        await stock(theirs).send_message("echo", "s", "held", route_policy="QUEUE_ONLY")
        execution_id = interop.last_execution_id()
    await RedisStore(redis).execute(GiveUp(execution_id=execution_id, reason="rolled back"))
    assert await there(redis, PENDING, 0)


async def test_the_pages_manager_serves_a_stock_client(
    redis: Redis, theirs: Redis, url: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of the migration page, with a provider that was written for by-framework."""
    deployment = ModuleType("my_deployment")
    deployment.MyWakeupProvider = lambda: StartingStock(start)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_deployment", deployment)
    source = example("migration.md", "manager").replace("redis://localhost:6379", url)
    names: dict[str, Any] = {}
    exec(source.replace("asyncio.run(main())", ""), names)  # noqa: S102 - it is our own
    async with running(names["main"]()):
        assert await by_client(stock(theirs))("echo", route_policy="WAKE_AND_WAIT") == ACCEPTED
    assert len(await commands(redis, "echo")) == 1


async def test_the_page_looks_at_what_was_left(redis: Redis, theirs: Redis) -> None:
    """One request for a wake, and two commands."""
    for policy in ("QUEUE_ONLY", "WAKE_AND_QUEUE"):
        await stock(theirs).send_message("echo", "s", "hello", route_policy=policy)
    lines = [line.split() for line in example("migration.md", "before").splitlines()]
    assert [await redis.execute_command(*line[2:]) for line in lines] == [2, 1]


async def test_the_page_takes_back_what_was_set(
    redis: Redis, theirs: Redis, url: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way back: else by-framework's clients obey for ever what nobody looks after."""
    monkeypatch.setenv("BY_CP_URL", url)
    send = by_client(stock(theirs))
    await start("summarizer")
    for command in (
        "circuits force summarizer open",
        "quotas set acme --in-flight 0",
        "fallback set summarizer other",
    ):
        assert await asyncio.to_thread(_by_cp, command) == 0
    assert (await send("summarizer")).error_code == "AGENT_CIRCUIT_OPEN"
    assert (await send("other", user_code="acme")).error_code == "TENANT_QUOTA_EXCEEDED"
    for line in example("migration.md", "back").splitlines():
        assert await asyncio.to_thread(_by_cp, line.partition("by-cp ")[2]) == 0
    assert await send("summarizer", user_code="acme") == ACCEPTED
    for kind in ("circuit", "quota:tenant", "quota:user", "fallback"):
        assert await redis.keys(f"{RedisKeys.CONTROL_PLANE_PREFIX}:{kind}:*") == []


def _by_cp(command: str) -> int:
    return subprocess.run(
        [*BY_CP, *command.split()], stdout=subprocess.DEVNULL, check=False
    ).returncode


async def test_the_pages_line_switches(redis: Redis, theirs: Redis) -> None:
    """And `uninstall` takes it back."""
    try:
        exec(example("migration.md", "switch"), {})  # noqa: S102 - it is our own
        await stock(theirs).send_message("echo", "s", "hello")
    finally:
        interop.uninstall()
    assert len(await RedisStore(redis).read()) == 2
