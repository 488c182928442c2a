"""What by-cp asks of those who can start workers.

A provider is the one thing that a manager's owner writes: an adapter to processes, containers, an
orchestrator or a pager. It is asked once for each wake, however many callers wait for it.

One method is all that it needs, `wakeup`. Each of the other protocols here is optional: a provider
that has the method is asked for more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from by_cp.errors import ByCpError
from by_cp.wire import WakeupDecision, WakeupRequest

Decision: TypeAlias = WakeupDecision | Mapping[str, Any]
"""What a provider answers: a decision, or a mapping with the same names."""

Progress: TypeAlias = Callable[[Decision], Awaitable[None]]
"""Shows a STARTING or QUEUED to everyone who waits for the wake."""


class ProviderUnavailable(ByCpError):
    """The provider cannot be asked just now. The same wake may be asked for again, a little later.

    Attributes:
        retry_after_ms: when it is worth trying again, in milliseconds, if that is known.

    """

    def __init__(self, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class WakeupProvider(Protocol):
    """Starts workers, or asks somebody else to."""

    async def wakeup(self, request: WakeupRequest) -> Decision:
        """Wake an agent type, and say how that went.

        READY: its workers run; by-cp believes it once one is online. STARTING, QUEUED: it is under
        way, and by-cp waits for a worker to come online. REJECTED: not for this request. FALLBACK:
        `selected_agent_type` stands in. FAILED, or any exception: it did not work.

        All of it, worker online included, must happen within `request.timeout_ms` (at least one
        second); then this call is cancelled and the wake has failed. `request.epoch` is another one
        for each call, and `request.attempt` counts the calls of one wake.
        """
        ...


@runtime_checkable
class WatchfulProvider(WakeupProvider, Protocol):
    """A provider that notices when a wake that it called STARTING comes to nothing after all."""

    async def watch(self, request: WakeupRequest) -> Decision:
        """Return a decision as soon as the wake has failed; until then, wait.

        It is called after STARTING, QUEUED or READY, and cancelled when a worker is online.
        """
        ...


@runtime_checkable
class ProgressiveProvider(WakeupProvider, Protocol):
    """A provider that can say how a wake gets on while it is under way."""

    async def wakeup_with_progress(self, request: WakeupRequest, progress: Progress) -> Decision:
        """Do what `wakeup` does; meanwhile await `progress` with each STARTING or QUEUED.

        It is called instead of `wakeup`. `progress` returns when the log has the news, and it may
        be cancelled with the wake.
        """
        ...


@runtime_checkable
class Supervisor(Protocol):
    """A provider that has something to do all the time, between wakes."""

    async def run(self) -> None:
        """Do it until cancelled. The manager runs this as long as it runs itself.

        It may return early, and then it has nothing more to do; if it raises, it is run again after
        a pause.
        """
        ...


async def ask(provider: WakeupProvider, request: WakeupRequest, progress: Progress) -> Decision:
    """Ask a provider for a wake, with progress if it can tell any."""
    if isinstance(provider, ProgressiveProvider):
        return await provider.wakeup_with_progress(request, progress)
    return await provider.wakeup(request)
