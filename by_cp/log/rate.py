"""The rate limit of a tenant: GCRA, in whole microseconds. Pure.

The generic cell rate algorithm (ITU-T I.371) keeps one number, the theoretical arrival time (TAT)
of the next call: each accepted call moves it by one emission interval, and a call is accepted if
the TAT would then be at most `burst` intervals ahead. The server's Lua says the same
(`redis/lua/admission.lua`); whole numbers below 2^53 are the same there.
"""

from __future__ import annotations

from typing import NamedTuple

from by_cp.projections.rows import QuotaRow


class Rate(NamedTuple):
    """What a call costs its tenant."""

    tat_us: int
    """The new TAT if the call is accepted; -1: there is no limit."""
    retry_after_ms: int
    """0: it is within the limit; else when it will be."""


def rate_of(row: QuotaRow | None, now_ms: int) -> Rate:
    """Tell whether a call now is within its tenant's rate."""
    if row is None or not row.rate_count:
        return Rate(-1, 0)
    now_us = now_ms * 1000
    interval_us = max(1, row.rate_period_ms * 1000 // row.rate_count)
    tat_us = max(row.rate_tat_us, now_us) + interval_us
    early_us = tat_us - now_us - interval_us * row.rate_burst
    return Rate(tat_us, 0 if early_us <= 0 else (early_us + 999) // 1000)
