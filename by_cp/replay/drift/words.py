"""What differs, in words: the rows' fields have one-letter names on the server."""

from __future__ import annotations

from by_cp.replay.drift.verifying import Difference

VALUE_MAX = 60
"""Longer values are cut for people."""

_CIRCUIT = {
    "s": "state",
    "f": "failures",
    "e": "epoch",
    "r": "reason",
    "p": "position",
    "x": "forced",
    "u": "until_ms",
    "o": "opens",
    "k": "struck_ms",
    "b": "permits",
    "m": "mode",
    "mr": "reason of the mode",
    "mp": "position of the mode",
    "dl": "depth_max",
    "cf": "failures_max",
    "cw": "window_ms",
    "co": "open_ms",
    "cn": "probes_max",
    "ct": "probe_ms",
    "cp": "position of the policy",
}
_QUOTA = {
    "l": "limit",
    "p": "position",
    "d": "depth_max",
    "t": "rate_tat_us",
    "rc": "rate_count",
    "rp": "rate_period_ms",
    "rb": "rate_burst",
}
_WAKE = {
    "w": "wake",
    "l": "leader",
    "u": "until_ms",
    "t": "epoch",
    "n": "attempt",
    "p": "position",
}
NAMES = {
    "circuits": _CIRCUIT,
    "quotas": _QUOTA,
    "availability": {"s": "state", "e": "epoch", "p": "position"},
    "fallbacks": {"t": "selected", "p": "position"},
    "wakes": _WAKE,
}
"""View -> field on the server -> its name in the row; the others' fields have their names."""


def in_words(one: Difference, *, was: str) -> str:
    """Return in one line which row differs, and each of its fields: what was found, what must be.

    Args:
        one: the difference.
        was: the verb: `is`, or `was` when it has been put right.

    """
    names = NAMES.get(one.view, {})
    fields = (
        f"{names.get(name, name)} {was} {_cut(found)}, must be {_cut(expected)}"
        for name, (expected, found) in one.fields.items()
    )
    return f"{one.view} {one.key!r}: " + "; ".join(fields)


def _cut(value: str) -> str:
    return repr(value) if len(value) <= VALUE_MAX else f"{value[:VALUE_MAX]!r}…"
