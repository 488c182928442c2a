"""A process that hammers a quota: it asks, is refused, waits, gives up, asks again.

    python -m tests.scenarios.hammer URL NAME SENDS TIMEOUT_MS

Writes how many of its sends were refused by the quota.
"""

from __future__ import annotations

import asyncio
import sys

from by_cp.control_plane import ControlPlane
from by_cp.vocabulary import ErrorCode, RoutePolicy

CALLERS = 3


async def main(url: str, name: str, sends: int, timeout_ms: int) -> None:
    """Hammer with a few callers at once."""
    numbers = iter(range(sends))

    async with ControlPlane.connect(url) as plane:

        async def call_on() -> int:
            refused = 0
            for number in numbers:
                response = await plane.client.send_message(
                    "nobody",
                    "session",
                    "hello",
                    user_code="acme",
                    region=name,
                    route_policy=RoutePolicy.WAKE_AND_WAIT,
                    availability_timeout_ms=timeout_ms,
                    execution_id=f"{name}-{number}",
                )
                refused += response.error_code == ErrorCode.TENANT_QUOTA_EXCEEDED
            return refused

        sys.stdout.write(str(sum(await asyncio.gather(*(call_on() for _ in range(CALLERS))))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
