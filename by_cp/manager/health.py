"""Is the manager alive, is it ready: judged from how its loops fare, without asking the server.

Alive: no loop is stuck. A server that is away makes no manager unwell, because killing the manager
would not bring it back; and a process whose event loop hangs answers nothing, which says it all.
Ready: it is connected, every loop's last step succeeded not long ago, and it is not stopping.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from by_cp.patience import Patience

STUCK_S = 120.0
"""A loop that is so late is stuck. The longest honest step is a call to a server that hangs: its
timeouts and retries take less than half of this."""

LATE_S = 10.0
"""A manager with a loop that is so late is not ready: the server hangs, probably."""


class Watched(Protocol):
    """What is judged: a manager."""

    @property
    def loops(self) -> Sequence[Patience]:
        """How each of its loops fares."""
        ...

    @property
    def wakes_in_flight(self) -> int:
        """How many wakes it has taken and not finished."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        ...


class LoopReport(Struct, frozen=True):
    """How one loop fares."""

    last_success_age_s: float | None
    """How long ago it last succeeded; None if it never did."""
    late_s: float
    """How long its next step is overdue."""
    failures: int
    """How often in a row it failed, up to now."""
    server_away: bool
    """Whether that was because the server did not answer."""


class Report(Struct, frozen=True):
    """The answer to a probe."""

    ok: bool
    problems: list[str]
    stopping: bool
    wakes_in_flight: int
    loops: dict[str, LoopReport]


class Health:
    """Judges a manager, once there is one, and before that the connection that it waits for.

    Args:
        connection: the patience of whoever connects.
        clock: only for tests: the time, in seconds; the same as that of the loops.

    Attributes:
        manager: the manager, once it is made.

    """

    def __init__(
        self, connection: Patience, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.manager: Watched | None = None
        self._connection = connection
        self._clock = clock

    def live(self) -> Report:
        """Tell whether it should go on living."""
        stuck = (loop for loop in self._loops if self._late_s(loop) > STUCK_S)
        return self._report([f"the {loop.what} is stuck" for loop in stuck])

    def ready(self) -> Report:
        """Tell whether it does its work now."""
        problems = [problem for loop in self._loops if (problem := self._problem(loop))]
        if self.manager is not None and self.manager.is_stopping:
            problems.append("it is stopping")
        return self._report(problems)

    @property
    def _loops(self) -> Sequence[Patience]:
        return (self._connection,) if self.manager is None else self.manager.loops

    def _late_s(self, loop: Patience) -> float:
        return max(0.0, self._clock() - loop.due_s)

    def _problem(self, loop: Patience) -> str:
        """Return why a loop does not do its work, or nothing."""
        if loop.server_away:
            return f"the {loop.what} finds the server away"
        if loop.failures:
            return f"the {loop.what} fails; the log says why"
        if loop.succeeded_s is None:
            return f"the {loop.what} has not succeeded yet"
        if (late_s := self._late_s(loop)) > LATE_S:
            return f"the {loop.what} is late by {late_s:.0f} s"
        return ""

    def _report(self, problems: list[str]) -> Report:
        now_s = self._clock()
        return Report(
            ok=not problems,
            problems=problems,
            stopping=self.manager is not None and self.manager.is_stopping,
            wakes_in_flight=0 if self.manager is None else self.manager.wakes_in_flight,
            loops={
                loop.what: LoopReport(
                    None if loop.succeeded_s is None else round(now_s - loop.succeeded_s, 3),
                    round(self._late_s(loop), 3),
                    loop.failures,
                    loop.server_away,
                )
                for loop in self._loops
            },
        )
