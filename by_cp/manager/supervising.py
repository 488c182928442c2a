"""Running what providers do between wakes."""

from __future__ import annotations

from by_cp import logs
from by_cp.manager.provider import Supervisor
from by_cp.patience import Patience

log = logs.named("by_cp.manager")


async def supervised(provider: Supervisor) -> None:
    """Run what a provider does between wakes, again if it raises: it must not end the others."""
    patience = Patience("provider", log)
    while True:
        try:
            await provider.run()
        except Exception as error:  # noqa: BLE001 - it is the user's code
            await patience.pause_after(error)
        else:
            return
