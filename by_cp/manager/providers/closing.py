"""Providers that hold something: processes, connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """What is closed at the end of its context, or by `close`."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what is held. Twice is fine."""

    async def __aenter__(self) -> Self:
        """Enter a context that closes it at its end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()
