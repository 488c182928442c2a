"""Property-based testing of by-cp, and of what you build on it.

`strategies` makes what by-cp is made of: names, payloads, calls, decisions, whole histories.
`ControlPlaneMachine` drives the log in memory through random lives; extend it with your own
provider, rules and invariants. `invariants` are what holds of every log, whichever store has it.
`record_history` and `replay_history` keep a log as a file, for a test that every later release
reads it in the same way.
`by_cp.testing.providers` has the contract of providers, as tests to inherit.

This needs Hypothesis, which comes with the extra `testing`. `docs/testing.md` shows the way.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401 - only to say what is missing
except ImportError as error:
    raise ImportError(
        "by_cp.testing needs Hypothesis: pip install 'by-cp[testing]'", name="hypothesis"
    ) from error

from by_cp.testing import invariants, strategies
from by_cp.testing.histories import record_history, replay_history
from by_cp.testing.machine import ControlPlaneMachine, Readiness

__all__ = [
    "ControlPlaneMachine",
    "Readiness",
    "invariants",
    "record_history",
    "replay_history",
    "strategies",
]
