"""A provider that leaves each agent type to another provider."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

from by_cp.manager.provider import (
    Decision,
    Progress,
    Supervisor,
    WakeupProvider,
    WatchfulProvider,
    ask,
)
from by_cp.manager.providers.answers import decision
from by_cp.manager.supervising import supervised
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupRequest


class RoutedProvider:
    """Asks the provider that is responsible for an agent type.

    Use it as a context: it enters and leaves those of its providers that are contexts.

    Args:
        routes: agent type, or a pattern with `*`, `?` and `[…]` as for file names -> provider. The
            very name goes first; then the first pattern that fits, in order. One provider may stand
            there several times.
        default: the provider of all others. Without one they are rejected.

    """

    def __init__(
        self, routes: Mapping[str, WakeupProvider], default: WakeupProvider | None = None
    ) -> None:
        self._routes = dict(routes)
        self._default = default
        every = (*routes.values(), *(() if default is None else (default,)))
        self._providers = list({id(provider): provider for provider in every}.values())
        self._contexts = AsyncExitStack()

    def provider_for(self, agent_type: str) -> WakeupProvider | None:
        """Return who is responsible for an agent type, if anybody is."""
        if agent_type in self._routes:
            return self._routes[agent_type]
        for pattern, provider in self._routes.items():
            if fnmatchcase(agent_type, pattern):
                return provider
        return self._default

    async def wakeup(self, request: WakeupRequest) -> Decision:
        """Ask the provider that is responsible."""
        provider = self.provider_for(request.target_agent_type)
        return _nobody(request) if provider is None else await provider.wakeup(request)

    async def wakeup_with_progress(self, request: WakeupRequest, progress: Progress) -> Decision:
        """Ask it, with progress if it can tell any."""
        provider = self.provider_for(request.target_agent_type)
        return _nobody(request) if provider is None else await ask(provider, request, progress)

    async def watch(self, request: WakeupRequest) -> Decision:
        """Watch, if it can."""
        provider = self.provider_for(request.target_agent_type)
        if isinstance(provider, WatchfulProvider):
            return await provider.watch(request)
        never: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        return await never

    async def run(self) -> None:
        """Run what they do between wakes, side by side."""
        async with asyncio.TaskGroup() as tasks:
            for provider in self._providers:
                if isinstance(provider, Supervisor):
                    tasks.create_task(supervised(provider))

    async def __aenter__(self) -> Self:
        """Enter the contexts of those providers that are some."""
        async with AsyncExitStack() as stack:
            for provider in self._providers:
                if isinstance(provider, AbstractAsyncContextManager):
                    await stack.enter_async_context(provider)
            self._contexts = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave them."""
        await self._contexts.aclose()


def _nobody(request: WakeupRequest) -> Decision:
    reason = f"no provider is configured for agent type {request.target_agent_type!r}"
    return decision(request, WakeupDecisionStatus.REJECTED, reason)
