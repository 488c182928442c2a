"""Health: alive and ready are told apart, and served over HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from by_cp.errors import InvalidInput, MissingExtra, ServerUnreachable
from by_cp.manager.health import LATE_S, STUCK_S, Health
from by_cp.manager.health_server import check_installed, served
from by_cp.patience import Patience
from tests.services import get
from tests.waiting import until

LOG = logging.getLogger("by_cp.tests")


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s


@dataclass
class Managed:
    """What health looks at: loops, and what a manager is about."""

    loops: Sequence[Patience]
    wakes_in_flight: int = 0
    is_stopping: bool = False


@dataclass
class Ward:
    """A manager of two loops under a clock, and its health."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Make them; both loops have succeeded once."""
        self.gate = Patience("gate", LOG, self.clock)
        self.sweeper = Patience("sweeper", LOG, self.clock)
        self.connection = Patience("connection", LOG, self.clock)
        self.manager = Managed((self.gate, self.sweeper))
        self.health = Health(self.connection, clock=self.clock)
        for loop in self.manager.loops:
            loop.recovered()

    def connected(self) -> Ward:
        """Let there be a manager."""
        self.health.manager = self.manager
        return self


async def failing(loop: Patience, error: Exception) -> None:
    """Let a loop fail once; it does not get to its next step."""
    pausing = asyncio.create_task(loop.pause_after(error))
    await until(lambda: loop.failures > 0)
    pausing.cancel()


def test_a_manager_whose_loops_succeed_is_alive_and_ready() -> None:
    """Both say so, with the age of each loop's last success and what is in flight."""
    ward = Ward().connected()
    ward.manager.wakes_in_flight = 3
    ward.clock.now_s += 2
    report = ward.health.ready()
    assert report.ok
    assert report.wakes_in_flight == 3
    assert report.loops["gate"].last_success_age_s == 2.0
    assert ward.health.live().ok


async def test_while_the_server_is_away_it_is_alive_and_not_ready() -> None:
    """Killing a manager brings no server back; sending it work does not help either."""
    ward = Ward().connected()
    await failing(ward.gate, ServerUnreachable("gone"))
    assert ward.health.ready().problems == ["the gate finds the server away"]
    assert ward.health.live().ok
    ward.gate.recovered()
    assert ward.health.ready().ok


async def test_a_loop_that_fails_by_its_own_fault_makes_it_unready() -> None:
    """Whatever it is, it is in the log, with its traceback."""
    ward = Ward().connected()
    await failing(ward.sweeper, ZeroDivisionError())
    assert ward.health.ready().problems == ["the sweeper fails; the log says why"]


def test_a_loop_that_is_late_makes_it_unready_then_dead() -> None:
    """A server that hangs is noticed before its timeouts; a loop that never returns is stuck."""
    ward = Ward().connected()
    ward.clock.now_s += LATE_S + 1
    ward.sweeper.recovered()
    assert ward.health.ready().problems == [f"the gate is late by {LATE_S + 1:.0f} s"]
    assert ward.health.live().ok
    ward.clock.now_s += STUCK_S
    ward.sweeper.recovered()
    assert ward.health.live().problems == ["the gate is stuck"]


async def test_a_loop_that_fails_again_and_again_is_not_stuck() -> None:
    """It was away for an hour, and still tries: that is patience."""
    ward = Ward().connected()
    ward.clock.now_s += 3_600
    for loop in ward.manager.loops:
        await failing(loop, ServerUnreachable("gone"))
    assert ward.health.live().ok


def test_before_it_is_connected_it_is_alive_and_not_ready() -> None:
    """Then the connection is what is looked at."""
    health = Ward().health
    assert health.ready().problems == ["the connection has not succeeded yet"]
    assert health.live().ok


def test_while_it_stops_it_is_alive_and_not_ready() -> None:
    """What is under way may end; nothing new comes."""
    ward = Ward().connected()
    ward.manager.is_stopping = True
    assert ward.health.ready().problems == ["it is stopping"]
    assert ward.health.live().ok


async def test_probes_are_answered_over_http() -> None:
    """200 or 503, and the report as JSON."""
    ward = Ward().connected()
    async with served(ward.health, "127.0.0.1", 0) as port:
        status, report = await asyncio.to_thread(get, port, "/readyz")
        assert (status, report["ok"], report["problems"]) == (200, True, [])
        assert report["loops"]["gate"] == {
            "last_success_age_s": 0.0,
            "late_s": 0.0,
            "failures": 0,
            "server_away": False,
        }
        ward.manager.is_stopping = True
        status, report = await asyncio.to_thread(get, port, "/readyz")
        assert (status, report["problems"]) == (503, ["it is stopping"])
        assert (await asyncio.to_thread(get, port, "/livez"))[0] == 200


async def test_a_port_that_is_taken_is_told() -> None:
    """The error names the port; uvicorn would end the process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"health_port {port} of '127.0.0.1' cannot be used"):
            await served(Ward().health, "127.0.0.1", port).__aenter__()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette and uvicorn are an extra."""
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(MissingExtra, match=r"health_port needs starlette: .*'by-cp\[server\]'"):
        check_installed()
