"""What if: recorded traffic under other policies, and what would have come out otherwise."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from by_cp.log.commands import Attempt, Configure, Member, Request, Settle
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.replay.whatif import LET_THROUGH, Policies, Report, whatif
from by_cp.statemachine.events import CircuitPolicySet, DepthSet, QuotaSet, TenantDepthSet
from by_cp.testing import ControlPlaneMachine
from by_cp.vocabulary import CIRCUIT_POLICY, ErrorCode, RoutePolicy
from tests.making import make_request

OPEN, EXCEEDED = ErrorCode.AGENT_CIRCUIT_OPEN, ErrorCode.TENANT_QUOTA_EXCEEDED


class Traffic:
    """Some callers of an agent that cannot be woken, second after second."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(self.clock)
        self._count = 0

    def ask(self, policy: str = RoutePolicy.WAKE_AND_QUEUE, user_code: str = "") -> Request:
        """Ask, a second later."""
        self.clock.advance(1_000)
        self._count += 1
        request = make_request(f"exec-{self._count:03}", policy, user_code=user_code)
        self.log.execute(request)
        return request

    def fail(self) -> None:
        """Ask, and let the wake fail."""
        request = self.ask()
        claim = self.log.views.wakes.get(("echo", "", ""))
        if claim is None:  # it was rejected
            return
        member = Member(request.execution_id)
        attempt = Attempt(
            agent_type="echo",
            user_code="",
            region="",
            wake=claim.wake,
            members=(member,),
            lasts_ms=1_000,
        )
        epoch = self.log.execute(attempt).epoch
        self.log.execute(
            Settle(
                agent_type="echo",
                user_code="",
                region="",
                epoch=epoch,
                status="FAILED",
                members=(member,),
            )
        )

    def under(self, **policies: object) -> Report:
        """Return what other policies would have made of it."""
        return whatif(self.log.entries, Policies(**policies))  # type: ignore[arg-type]


def kinds(report: Report) -> dict[tuple[str, str], int]:
    """The differences, counted."""
    return {(d.was, d.would_be): d.count for d in report.differences}


def test_the_same_policies_make_no_difference() -> None:
    """Asked about what was in force anyway, everything comes out as it did."""
    traffic = Traffic()
    for _ in range(8):
        traffic.fail()
    assert traffic.under(circuit=dict(CIRCUIT_POLICY)).changed == 0
    assert traffic.under().changed == 0


def test_a_stricter_circuit_would_have_rejected() -> None:
    """It opens after the second failure, and then lets only probes through."""
    traffic = Traffic()
    for _ in range(4):
        traffic.fail()
    report = traffic.under(circuit={"failures_max": 2})
    assert kinds(report) == {("accepted", OPEN): 2}
    assert (report.circuits_opened, report.circuits_would_open) == (0, 1)
    assert report.differences[0].examples[0].execution_id == "exec-003"


def test_a_more_patient_circuit_would_have_let_through() -> None:
    """What would then have become of them, nobody knows."""
    traffic = Traffic()
    traffic.log.execute(Configure(event=CircuitPolicySet("", "", 1, 60_000, 30_000, 1, 60_000)))
    for _ in range(4):
        traffic.fail()
    report = traffic.under(circuit={"failures_max": 0})
    assert kinds(report) == {(OPEN, LET_THROUGH): 3}


def test_a_smaller_quota_would_have_rejected() -> None:
    """Those who were let in beyond it; other tenants are not touched."""
    traffic = Traffic()
    for _ in range(3):
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u1")
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u2")
    report = traffic.under(quotas={"u1": 1})
    assert kinds(report) == {("accepted", EXCEEDED): 2}
    assert {e.user_code for e in report.differences[0].examples} == {"u1"}


def test_a_larger_quota_would_have_let_in_so_many() -> None:
    """Who is let in takes a place, too."""
    traffic = Traffic()
    traffic.log.execute(Configure(event=QuotaSet("", "u1", 1)))
    for _ in range(5):
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u1")
    report = traffic.under(quotas={"u1": 3})
    assert kinds(report) == {(EXCEEDED, LET_THROUGH): 2}


def test_a_rate_would_have_rejected_the_hasty() -> None:
    """One call in 2 s, for callers that come every second."""
    traffic = Traffic()
    for _ in range(6):
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u1")
    report = traffic.under(rates={"u1": (1, 2_000, 1)})
    assert kinds(report) == {("accepted", EXCEEDED): 3}


def test_a_queue_would_have_been_full() -> None:
    """What is held beyond its depth."""
    traffic = Traffic()
    for _ in range(4):
        traffic.ask(RoutePolicy.QUEUE_ONLY)
    report = traffic.under(depths={"echo": 3})
    assert kinds(report) == {("accepted", ErrorCode.AGENT_QUEUE_FULL): 1}


def test_a_tenants_share_stays_full_whatever_its_quota() -> None:
    """How much of a tenant's may be held is a limit of its own; a larger quota does not lift it."""
    traffic = Traffic()
    traffic.log.execute(Configure(event=TenantDepthSet("", "u1", 2)))
    traffic.log.execute(Configure(event=QuotaSet("", "u1", 3)))
    for _ in range(4):
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u1")
    assert traffic.under(quotas={"u1": 9}).changed == 0


def test_who_is_let_in_leaves_less_of_the_tenants_share() -> None:
    """The queue would have had room, and then the share would have been used up sooner."""
    traffic = Traffic()
    traffic.log.execute(Configure(event=TenantDepthSet("", "u1", 2)))
    traffic.log.execute(Configure(event=DepthSet("", "echo", 1)))
    for _ in range(4):
        traffic.ask(RoutePolicy.QUEUE_ONLY, "u1")
    report = traffic.under(depths={"echo": -1})
    full = ErrorCode.AGENT_QUEUE_FULL
    assert kinds(report) == {(full, EXCEEDED): 2, (full, LET_THROUGH): 1}


class Lives(ControlPlaneMachine):
    """Random lives, and what the policies that were in force would have made of them."""

    @invariant()
    def nothing_would_have_changed(self) -> None:
        """Whatever happened, it would have happened again."""
        report = whatif(self.log.entries, Policies())
        assert report.changed == 0


def test_random_lives_come_out_as_they_did() -> None:
    """With no other policy there is no difference, ever."""
    lives = settings(
        max_examples=20, stateful_step_count=30, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Lives, settings=lives)
