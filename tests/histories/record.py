"""Records a history that has every event in its present schema.

`python -m tests.histories.record NAME` writes `NAME.jsonl`, the log, and `NAME.views.json`, what
the log says. Both are kept for ever: each release must read every history that an earlier one
wrote, and understand it in the same way. So this never overwrites; when the schema of an event
changes, record the next under a new name, *before* the change.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from by_cp.log.commands import (
    Adopt,
    Append,
    Attempt,
    Cancel,
    Command,
    Configure,
    GiveUp,
    Member,
    Redrive,
    Release,
    Request,
    Settle,
    Sweep,
)
from by_cp.log.commandtext import cut
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.projections.views import Views
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import (
    AgentDraining,
    AgentPaused,
    AgentResumed,
    BecameReady,
    Call,
    CircuitForced,
    CircuitPolicySet,
    DeadLettered,
    DepthSet,
    Event,
    Failed,
    FallbackSet,
    QuotaSet,
    RateSet,
    TenantDepthSet,
    tag_of,
)
from by_cp.statemachine.position import Position
from by_cp.vocabulary import RoutePolicy

HERE = Path(__file__).parent
ABOUT = "Made by `python -m tests.histories.record`. Never to be changed: see there."


class Recorder:
    """A log in memory that is written to under fixed call ids, while its clock moves."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_700_000_000_000)
        self.log = MemoryLog(self.clock)
        self._calls = 0

    def execute(self, command: Command[Any]) -> None:
        """Execute a command, some milliseconds after the one before."""
        self._calls += 1
        self.clock.advance(self._calls % 3)
        self.log.execute(structs.replace(command, call_id=f"call-{self._calls:04d}"))

    def request(
        self, execution_id: str, policy: RoutePolicy, agent_type: str = "chat", **times_ms: Any
    ) -> None:
        """Ask for a delivery."""
        call = Call(
            *(agent_type, "acme", "eu", policy, 7, 30_000),
            *("session-1", "trace-1", f"message of {execution_id}", "client", '{"gpu":true}'),
            **times_ms,
        )
        payload = {"header": {"user_code": "acme"}, "body": {"content": "🦜 /", "n": [2**60, {}]}}
        command = cut(payload, agent_type)
        self.execute(Request(execution_id=execution_id, call=call, command=command))

    def adopt(self, execution_id: str, policy: RoutePolicy) -> None:
        """Adopt what a foreign client wrote: an agent's call of another."""
        call = Call(
            *("poet", "acme", "eu", policy, 7, 30_000),
            *("session-1", "trace-1", f"message of {execution_id}", "reader"),
            origin="by-framework",
        )
        header = {"source_agent_type": "reader", "parent_message_id": "message of reader"}
        command = cut({"action_type": "ASK_AGENT", "header": header}, "poet")
        self.execute(
            Adopt(execution_id=execution_id, call=call, command=command, written_ms=self.clock())
        )

    def attempt(self, agent_type: str, *execution_ids: str, reason: str = "") -> None:
        """Let the manager begin an attempt of the latest wake."""
        self.execute(
            Attempt(
                agent_type=agent_type,
                user_code="acme",
                region="eu",
                wake=self.log.world.signals[-1].epoch,
                members=tuple(Member(e, "acme", "eu") for e in execution_ids),
                lasts_ms=30_000,
                reason=reason,
                by="manager-1",
            )
        )

    def settle(
        self, status: str, *execution_ids: str, agent_type: str = "chat", **rest: Any
    ) -> None:
        """Let the manager answer the latest wake."""
        claim = self.log.views.wakes.get((agent_type, "acme", "eu"))
        self.execute(
            Settle(
                agent_type=agent_type,
                user_code="acme",
                region="eu",
                epoch=claim.epoch if claim else self.log.world.signals[-1].epoch,
                status=status,
                members=tuple(Member(e, "acme", "eu") for e in execution_ids),
                by="manager-1",
                **rest,
            )
        )


def tell(recorder: Recorder) -> None:
    """Let something of everything happen."""
    execute, request, settle = recorder.execute, recorder.request, recorder.settle
    execute(Configure(event=QuotaSet("", "acme", 9, "operator")))
    execute(Configure(event=CircuitForced("", "chat", "OPEN", "maintenance", "operator")))
    request("rejected at once", RoutePolicy.WAKE_AND_WAIT)
    execute(Append(event=DeadLettered("rejected at once", 0, "", "to keep a trace", "operator")))
    execute(Configure(event=CircuitForced("", "chat", "CLOSED", "", "operator")))
    request("leads", RoutePolicy.WAKE_AND_WAIT)
    request("joins", RoutePolicy.WAKE_AND_QUEUE)
    settle("STARTING", "leads", "joins", reason="pulling the image")
    settle("READY", "leads", "joins", worker_ids=("worker-1", "worker-2"))
    request("fails", RoutePolicy.WAKE_AND_QUEUE)
    settle("FAILED", "fails", reason="no such image")
    execute(Redrive(execution_id="fails", by="operator"))
    settle("REJECTED", "fails", reason="over budget", retry_after_ms=60_000)
    request("gives up", RoutePolicy.WAKE_AND_WAIT)
    execute(GiveUp(execution_id="gives up", reason="the caller left"))
    request("too late", RoutePolicy.WAKE_AND_WAIT)
    recorder.clock.advance(30_000)
    execute(Sweep(agent_type="chat", members=(Member("too late", "acme", "eu"),), by="sweeper-1"))
    execute(Configure(event=FallbackSet("", "chat", "writer/2", "operator")))
    recorder.log.world.announce("worker-3", ("writer/2",), 1_000)
    request("stands in", RoutePolicy.FAIL_FAST)
    recorder.log.world.retire("worker-3")
    request("no look", RoutePolicy.SEND_ANYWAY)
    request("nobody there", RoutePolicy.FAIL_FAST)
    request("still waits", RoutePolicy.QUEUE_ONLY)
    request("released", RoutePolicy.QUEUE_ONLY, "poet")
    recorder.log.world.announce("worker-4", ("poet",), 1_000)
    execute(Release(agent_type="poet", members=(Member("released", "acme", "eu"),), by="gate-1"))
    request("not so ready", RoutePolicy.QUEUE_ONLY)
    execute(Append(event=BecameReady("not so ready", 0, "", "WAKE", "chat", "1-0", by="operator")))
    execute(Append(event=Failed("not so ready", 0, "", "it died again", "1-0", "operator")))
    tell_more(recorder)


def tell_more(recorder: Recorder) -> None:
    """Let happen what came with attempts, circuits that act by themselves, rates and pauses."""
    execute, request, settle = recorder.execute, recorder.request, recorder.settle
    now_ms = recorder.clock()
    execute(Configure(event=RateSet("", "acme", 100, 1_000, 50, "operator")))
    execute(Configure(event=DepthSet("", "painter", 50, "operator")))
    execute(Configure(event=TenantDepthSet("", "acme", 60, "operator")))
    execute(Configure(event=CircuitPolicySet("", "painter", 1, 60_000, 10_000, 1, 5_000, "op")))
    request("tried twice", RoutePolicy.WAKE_AND_QUEUE, "painter", expires_at_ms=now_ms + 90_000)
    recorder.attempt("painter", "tried twice")
    recorder.attempt("painter", "tried twice", reason="provider raised OSError")
    settle("FAILED", "tried twice", agent_type="painter", reason="no paint")
    request("met an open circuit", RoutePolicy.WAKE_AND_WAIT, "painter")
    recorder.clock.advance(10_000)
    request("probes", RoutePolicy.WAKE_AND_WAIT, "painter")
    recorder.attempt("painter", "probes")
    recorder.log.world.announce("worker-5", ("painter",), 1_000)
    settle("READY", "probes", agent_type="painter", worker_ids=("worker-5",))
    execute(Configure(event=AgentPaused("", "painter", "upgrade", "operator")))
    request("held by a pause", RoutePolicy.WAKE_AND_QUEUE, "painter")
    execute(Configure(event=AgentDraining("", "painter", "goes away", "operator")))
    request("met a drain", RoutePolicy.QUEUE_ONLY, "painter")
    execute(Configure(event=AgentResumed("", "painter", "operator")))
    execute(Cancel(execution_id="held by a pause", reason="changed my mind", by="caller"))
    request("later", RoutePolicy.QUEUE_ONLY, "painter", not_before_ms=now_ms + 60_000)
    tell_of_foreigners(recorder)


def tell_of_foreigners(recorder: Recorder) -> None:
    """Let happen what came with foreign clients, whose requests are adopted."""
    recorder.log.world.retire("worker-4")
    recorder.adopt("delivers by itself", RoutePolicy.WAKE_AND_WAIT)
    recorder.attempt("poet", "delivers by itself")
    recorder.settle("READY", "delivers by itself", agent_type="poet")
    recorder.adopt("resumes its caller", RoutePolicy.WAKE_AND_QUEUE)
    recorder.attempt("poet", "resumes its caller")
    recorder.settle("FAILED", "resumes its caller", agent_type="poet", reason="no muse")
    tell_of_depths(recorder)


def tell_of_depths(recorder: Recorder) -> None:
    """Let queues be full: an agent type's, and a tenant's share of all."""
    execute, request = recorder.execute, recorder.request
    execute(Configure(event=DepthSet("", "sculptor", 1, "operator")))
    request("fills the queue", RoutePolicy.QUEUE_ONLY, "sculptor")
    request("met a full queue", RoutePolicy.QUEUE_ONLY, "sculptor")
    execute(Configure(event=DepthSet("", "sculptor", -1, "operator")))
    request("finds room again", RoutePolicy.QUEUE_ONLY, "sculptor")
    execute(Configure(event=TenantDepthSet("", "acme", 2, "operator")))
    request("met a full share", RoutePolicy.QUEUE_ONLY, "sculptor")
    execute(Configure(event=TenantDepthSet("", "acme", 60, "operator")))
    request("has its share again", RoutePolicy.QUEUE_ONLY, "sculptor")


def line_of(position: Position, event: Event) -> str:
    """Return one entry as JSON: its bytes, and what each of them means."""
    fields = {name: msgspec.to_builtins(value) for name, value in structs.asdict(event).items()}
    entry = {
        "position": position,
        "tag": tag_of(type(event)),
        "fields": fields,
        "hex": CODEC.encode(event).hex(),
    }
    return json.dumps(entry, ensure_ascii=False)


def plain(views: Views) -> dict[str, Any]:
    """Return the views as JSON knows them; a wake group's parts are joined to one key."""
    builtins: dict[str, Any] = msgspec.to_builtins(views)
    builtins["wakes"] = {":".join(group): row for group, row in builtins["wakes"].items()}
    return builtins


def views_of(views: Views) -> str:
    """Return the views as JSON."""
    return json.dumps(plain(views), ensure_ascii=False, indent=1) + "\n"


def main(name: str) -> None:
    """Record under a name.

    Raises:
        FileExistsError: there is a history of that name.

    """
    recorder = Recorder()
    tell(recorder)
    lines = [json.dumps({"about": ABOUT})]
    lines += [line_of(position, event) for position, event in recorder.log.entries]
    with (HERE / f"{name}.jsonl").open("x", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    (HERE / f"{name}.views.json").write_text(views_of(recorder.log.views), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
