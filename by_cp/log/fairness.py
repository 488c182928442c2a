"""Fair order between the tenants whose commands are held for one agent type. Pure.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), each command of weight one: a command's
rank is its start time, the virtual time or the tenant's last finish time, whichever is later; the
virtual time is the rank that was last delivered. So of n tenants each gets every n-th delivery,
however many commands one of them has queued. Priorities are told apart: each has a queue of its
own. When nothing is held any more, all is forgotten. The server's Lua says the same
(`redis/lua/fairness.lua`).
"""

from __future__ import annotations

Times = dict[str, int]
"""`priority` -> virtual time; `priority/tenant` -> the tenant's last finish time."""


def rank(times: Times, priority: int, user_code: str) -> int:
    """Return the rank of a tenant's next command, and move its finish time."""
    tenant = f"{priority}/{user_code}"
    start = max(times.get(str(priority), 0), times.get(tenant, 0))
    times[tenant] = start + 1
    return start


def delivered(times: Times, priority: int, reached: int) -> None:
    """Move the virtual time to the rank that is delivered."""
    times[str(priority)] = max(times.get(str(priority), 0), reached)
