"""Commands, wakes and what else the tests of the providers share."""

from __future__ import annotations

import sys
from typing import Any

from by_cp.wire import WakeupDecision, WakeupRequest


def script(source: str) -> list[str]:
    """A command that runs Python source."""
    return [sys.executable, "-c", source]


SLEEPER = script("import time; print('up', flush=True); time.sleep(600)")


def wake_of(agent_type: str, **fields: Any) -> WakeupRequest:
    """A request to wake an agent type."""
    given = {"timeout_ms": 30_000, "epoch": "17-0", **fields}
    return WakeupRequest("exec-1", agent_type, "s", "t", "m", "client", "WAKE_AND_QUEUE", **given)


def pid_in(decision: WakeupDecision) -> int:
    """The process that a decision names."""
    return int(decision.reason.split()[1])
