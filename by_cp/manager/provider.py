"""What by-cp asks of those who can start workers.

A provider is the one thing that a manager's owner writes: an adapter to processes, containers, an
orchestrator or a pager. It is asked once for each wake, however many callers wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from by_cp.wire import WakeupDecision, WakeupRequest


class WakeupProvider(Protocol):
    """Starts workers, or asks somebody else to."""

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Wake an agent type, and say how that went.

        READY: its workers run; by-cp believes it once one is online. STARTING, QUEUED: it is under
        way, and by-cp waits for a worker to come online. REJECTED: not for this request. FALLBACK:
        `selected_agent_type` stands in. FAILED, or any exception: it did not work.

        All of it, worker online included, must happen within `request.timeout_ms` (at least one
        second); then this call is cancelled and the wake has failed.
        """
        ...


@runtime_checkable
class WatchfulProvider(WakeupProvider, Protocol):
    """A provider that notices when a wake that it called STARTING comes to nothing after all."""

    async def watch(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Return a decision as soon as the wake has failed; until then, wait.

        It is called after STARTING, QUEUED or READY, and cancelled when a worker is online.
        """
        ...
