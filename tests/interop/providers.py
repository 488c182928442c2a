"""Providers that start stock workers, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from by_cp.wire import WakeupDecision, WakeupRequest
from tests.interop.conftest import Start
from tests.interop.stock import StockWorker


class StartingStock:
    """Starts a stock worker when it is asked, after it has failed as often as it is told to."""

    def __init__(self, start: Start, *, raises: int = 0, status: str = "READY") -> None:
        self._start = start
        self._raises = raises
        self._status = status
        self.asked: list[WakeupRequest] = []
        self.workers: dict[str, StockWorker] = {}

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Start one, and say so."""
        self.asked.append(request)
        if len(self.asked) <= self._raises:
            raise OSError("no room for another container")
        if self._status == "READY":
            agent_type = request.target_agent_type
            self.workers[agent_type] = await self._start(agent_type)
        return {"status": self._status, "reason": "the image is gone"}
