"""What operators do: pause, force, limit, cancel. Each is an event in the log, with who did it."""

from __future__ import annotations

from typing import Literal

from by_cp.errors import InvalidInput
from by_cp.log.answers import Outcome
from by_cp.log.commands import Cancel, Configure
from by_cp.log.contract import Store
from by_cp.names import check_int, check_name
from by_cp.projections.circuit import AUTO, CLOSED, OPEN, STRIKES_MAX
from by_cp.projections.rows import NO_LIMIT
from by_cp.statemachine.events import (
    AgentDraining,
    AgentPaused,
    AgentResumed,
    CircuitForced,
    CircuitPolicySet,
    DepthSet,
    FallbackSet,
    QuotaSet,
    RateSet,
    SystemEvent,
    TenantDepthSet,
)
from by_cp.statemachine.position import Position

PERIOD_MS_MAX = 30 * 24 * 3600 * 1000
"""Longest window, open time or period: 30 days, in milliseconds."""

COUNT_MAX = 1_000_000_000
PROBES_MAX = 1_000
RATE_PER_MS_MAX = 1_000
"""A rate is counted in whole microseconds: so many calls in a millisecond at most."""

REASON_LENGTH_MAX = 1_000


class Operate:
    """What operators do. `ControlPlane` has one.

    Every method returns the position of its event, and raises InvalidInput, with nothing written,
    if a name or a value is not acceptable. `by` is who does it, for the history.

    Args:
        store: the log.

    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pause(self, agent_type: str, reason: str = "", by: str = "") -> Position:
        """Hold what can be held for an agent type; wake and deliver nothing until `resume`."""
        check_name("agent_type", agent_type)
        return await self._set(AgentPaused("", agent_type, _reason(reason), _by(by)))

    async def drain(self, agent_type: str, reason: str = "", by: str = "") -> Position:
        """Deliver what is held for an agent type; accept nothing new until `resume`."""
        check_name("agent_type", agent_type)
        return await self._set(AgentDraining("", agent_type, _reason(reason), _by(by)))

    async def resume(self, agent_type: str, by: str = "") -> Position:
        """End a pause or a drain."""
        check_name("agent_type", agent_type)
        return await self._set(AgentResumed("", agent_type, _by(by)))

    async def force_circuit(
        self,
        agent_type: str,
        state: Literal["OPEN", "CLOSED", "AUTO"],
        reason: str = "",
        by: str = "",
    ) -> Position:
        """Hold a circuit open or closed; AUTO closes it and lets it act by itself again."""
        check_name("agent_type", agent_type)
        if state not in (OPEN, CLOSED, AUTO):
            raise InvalidInput(f"state must be {OPEN}, {CLOSED} or {AUTO}, not {state!r}")
        return await self._set(CircuitForced("", agent_type, state, _reason(reason), _by(by)))

    async def set_circuit_policy(
        self,
        agent_type: str,
        *,
        failures_max: int,
        window_ms: int,
        open_ms: int,
        probes_max: int = 1,
        probe_ms: int,
        by: str = "",
    ) -> Position:
        """Set when a circuit opens and closes by itself.

        Args:
            agent_type: whose; "" is every agent type that has no policy of its own.
            failures_max: it opens when so many wakes failed within the window; 0 is never.
            window_ms: the window, in milliseconds.
            open_ms: for so long it stays open the first time.
            probes_max: so many wakes at once may probe it while it is half-open.
            probe_ms: after so long a probe that has not come out gives its permit back.
            by: who sets it.

        """
        check_name("agent_type", agent_type, empty_allowed=True)
        check_int("failures_max", failures_max, low=0, high=STRIKES_MAX)
        check_int("probes_max", probes_max, low=1, high=PROBES_MAX)
        for what, value in (("window_ms", window_ms), ("open_ms", open_ms), ("probe_ms", probe_ms)):
            check_int(what, value, low=1, high=PERIOD_MS_MAX)
        return await self._set(
            CircuitPolicySet(
                *("", agent_type, failures_max, window_ms, open_ms, probes_max, probe_ms, _by(by))
            )
        )

    async def set_quota(self, user_code: str, in_flight: int, by: str = "") -> Position:
        """Set how many commands of a tenant may be in flight; -1 is any number."""
        check_name("user_code", user_code)
        check_int("in_flight", in_flight, low=NO_LIMIT, high=COUNT_MAX)
        return await self._set(QuotaSet("", user_code, in_flight, _by(by)))

    async def set_rate(
        self, user_code: str, count: int, period_ms: int = 1000, burst: int = 1, by: str = ""
    ) -> Position:
        """Set how often a tenant may call.

        Args:
            user_code: the tenant.
            count: so many calls in each period; 0 takes the limit away.
            period_ms: the period, in milliseconds.
            burst: so many calls may come at once.
            by: who sets it.

        """
        check_name("user_code", user_code)
        check_int("period_ms", period_ms, low=1, high=PERIOD_MS_MAX)
        check_int("count", count, low=0, high=min(COUNT_MAX, period_ms * RATE_PER_MS_MAX))
        check_int("burst", burst, low=1, high=COUNT_MAX)
        return await self._set(RateSet("", user_code, count, period_ms, burst, _by(by)))

    async def set_depth(
        self,
        depth_max: int,
        *,
        agent_type: str | None = None,
        user_code: str | None = None,
        by: str = "",
    ) -> Position:
        """Set how many commands may be held for an agent type or for a tenant; -1 is any number."""
        check_int("depth_max", depth_max, low=NO_LIMIT, high=COUNT_MAX)
        if agent_type is not None and user_code is None:
            check_name("agent_type", agent_type)
            return await self._set(DepthSet("", agent_type, depth_max, _by(by)))
        if user_code is not None and agent_type is None:
            check_name("user_code", user_code)
            return await self._set(TenantDepthSet("", user_code, depth_max, _by(by)))
        raise InvalidInput("set_depth takes either an agent_type or a user_code")

    async def set_fallback(self, agent_type: str, selected: str, by: str = "") -> Position:
        """Set who stands in for an agent type; "" is nobody.

        Raises:
            FallbackRefused: it would close a circle, or make a chain that is too long.

        """
        check_name("agent_type", agent_type)
        check_name("selected", selected, empty_allowed=True)
        return await self._set(FallbackSet("", agent_type, selected, _by(by)))

    async def cancel(self, execution_id: str, reason: str = "", by: str = "") -> Outcome:
        """Take a held command back. If it was settled meanwhile, that outcome is the answer.

        Raises:
            UnknownExecution: nothing is known of it.
            IllegalTransition: it never waited for anything that could be cancelled.

        """
        check_name("execution_id", execution_id)
        return await self._store.execute(
            Cancel(execution_id=execution_id, reason=_reason(reason), by=_by(by))
        )

    async def _set(self, event: SystemEvent) -> Position:
        return (await self._store.execute(Configure(event=event))).position


def _by(by: str) -> str:
    return check_name("by", by, empty_allowed=True)


def _reason(reason: str) -> str:
    """Let a reason be any printable line, but no payload in disguise."""
    if not isinstance(reason, str):
        raise InvalidInput(f"reason must be a str, not {type(reason).__name__}")
    if len(reason) > REASON_LENGTH_MAX:
        raise InvalidInput(f"reason has {len(reason):,} characters, over {REASON_LENGTH_MAX:,}")
    if not reason.isprintable():
        raise InvalidInput("reason must be one line of printable characters")
    return reason
