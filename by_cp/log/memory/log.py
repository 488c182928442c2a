"""The log itself: a journal, and `execute`, which answers a repeated command as the first time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from msgspec import structs

from by_cp.errors import ExecutionConflict
from by_cp.log.answers import Answer, Receipt, Refused
from by_cp.log.commands import Adopt, Command, Request
from by_cp.log.memory.deciding import DECIDERS
from by_cp.log.memory.journal import Journal

A = TypeVar("A")


def system_clock() -> int:
    """Return the time of this machine, in ms since 1970."""
    return time.time_ns() // 1_000_000


class MemoryLog(Journal):
    """A log in memory. Synchronous: one `execute` is one atomic call."""

    def __init__(self, clock: Callable[[], int] = system_clock) -> None:
        super().__init__(clock)
        self._answered: dict[str, Any] = {}
        self._requested: dict[str, tuple[Request, Answer]] = {}
        self._adopted: dict[str, tuple[Adopt, Receipt]] = {}

    def execute(self, command: Command[A]) -> A:
        """Execute a command; one that was executed before is answered as it was then.

        Raises:
            ByCpError: the log refuses; nothing was changed.

        """
        if isinstance(command, Request):
            return cast("A", self._request(command))
        if isinstance(command, Adopt):
            return cast("A", self._adopt(command))
        if command.call_id not in self._answered:
            reply = DECIDERS[type(command)](self, command)
            if isinstance(reply, Refused):
                raise reply.error()
            self._answered[command.call_id] = reply
        return cast("A", self._answered[command.call_id])

    def _request(self, command: Request) -> Answer:
        execution_id = command.execution_id
        if execution_id not in self._requested:
            if self.head(execution_id) is not None:  # born by an Append
                raise ExecutionConflict(execution_id)
            answer = Answer(DECIDERS[Request](self, command))
            self._requested[execution_id] = (command, answer)
            return answer
        first, answer = self._requested[execution_id]
        if (first.call, first.command) != (command.call, command.command):
            raise ExecutionConflict(execution_id)
        return structs.replace(answer, outcome=self.world.outcomes.get(execution_id))

    def _adopt(self, command: Adopt) -> Receipt:
        execution_id = command.execution_id
        if execution_id not in self._adopted:
            if self.head(execution_id) is not None:
                raise ExecutionConflict(execution_id)
            receipt = DECIDERS[Adopt](self, command)
            self._adopted[execution_id] = (command, receipt)
            return cast("Receipt", receipt)
        first, receipt = self._adopted[execution_id]
        if (first.call, first.command) != (command.call, command.command):
            raise ExecutionConflict(execution_id)
        return receipt
