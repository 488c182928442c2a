"""The one place where names from outside are checked.

House rule: whatever becomes part of a key passes here once, at the edge; inside by-cp a name is
trusted. The rule is wide, because by-framework has none: any printable text, spaces, colons and
braces included. Refused are only names that nobody could type again (control characters, outer
spaces), that no key can hold (lone surrogates) or that are a payload in disguise (over
`NAME_LENGTH_MAX` characters). Keys stay unambiguous because a name is either the last part of its
key or quoted (`by_cp.keys.quote`).
"""

from __future__ import annotations

from by_cp.errors import InvalidInput, InvalidName

NAME_LENGTH_MAX = 256
"""Longest name, in characters."""

TIMEOUT_MS_MAX = 7 * 24 * 3600 * 1000
"""Longest wait that a caller may ask for: a week, in milliseconds."""

TIME_MS_MAX = 4_102_444_800_000
"""Latest moment that a command may name: the year 2100, in ms since 1970. Seconds or days that are
taken for milliseconds are found out at least at one end."""

PRIORITY_ABS_MAX = 1_000_000
"""Priorities run from minus this to plus this; higher is delivered first."""


_SHOWN_MAX = 60


def _problem(name: object, *, empty_allowed: bool) -> str | None:
    if not isinstance(name, str):
        return f"must be a str, not {type(name).__name__}"
    if not name:
        return None if empty_allowed else "must not be empty"
    if len(name) > NAME_LENGTH_MAX:
        return f"has {len(name):,} characters, over the limit of {NAME_LENGTH_MAX}"
    if name != name.strip():
        return "must not begin or end with white space"
    for character in name:
        if not character.isprintable():
            return f"must not contain {character!a} (control characters and the like)"
    return None


def check_name(what: str, name: object, *, empty_allowed: bool = False) -> str:
    """Return `name` if it may stand in a key; `what` names the argument in the error.

    Raises:
        InvalidName: it is no str, empty (unless `empty_allowed`), too long, has outer white space
            or characters that are not printable.

    """
    problem = _problem(name, empty_allowed=empty_allowed)
    if problem is not None:
        shown = ascii(name)
        if len(shown) > _SHOWN_MAX:
            shown = shown[: _SHOWN_MAX - 3] + "..."
        raise InvalidName(f"{what} {shown} {problem}")
    # A member of a text enum is its text; `str()` of one would be its Python name.
    return str.__str__(name) if isinstance(name, str) else ""


def check_int(what: str, value: object, *, low: int, high: int) -> int:
    """Return `value` if it is an int (not a bool) within `low` and `high`, both included.

    Raises:
        InvalidInput: it is not.

    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{what} must be an int, not {type(value).__name__}")
    if not low <= value <= high:
        raise InvalidInput(f"{what} {value} is not between {low} and {high}")
    return value
