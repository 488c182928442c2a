"""Ids: of executions, messages and traces.

An execution's id is its one name for ever, in the log, the streams and the hands of users, and
nobody checks whether it was used before. So it is a ULID: 48 bits of time, in front, so that ids
sort by their age as plain text, and 80 random bits, so that no two are ever the same.
"""

from __future__ import annotations

import hashlib
import secrets
import time

EXECUTION_PREFIX = "exec-"
MESSAGE_PREFIX = "msg-"

TIME_MS_MAX = 2**48 - 1
"""The last millisecond since 1970 that fits into an id: in the year 10889."""

_RANDOM_BITS = 80
_ALPHABET = (
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: in the order of ASCII, without I L O U
)
_DIGITS = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26
_BITS = 128


def new_execution_id(now_ms: int | None = None) -> str:
    """Return a fresh id for one execution: `exec-` and a ULID.

    Args:
        now_ms: the time that it tells, in ms since 1970; this machine's, if not given.

    """
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    now_ms = min(max(now_ms, 0), TIME_MS_MAX)
    number = now_ms << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    shifts = range(5 * (_LENGTH - 1), -1, -5)
    return EXECUTION_PREFIX + "".join(_ALPHABET[number >> shift & 31] for shift in shifts)


def time_of(execution_id: str) -> int | None:
    """Return when an execution id was made, in ms since 1970.

    That is the clock of whoever made it: good to find a log by, not to order events by. Of an id
    that is none of `new_execution_id`'s it is None.
    """
    text = execution_id.removeprefix(EXECUTION_PREFIX)
    if text == execution_id or len(text) != _LENGTH or not _DIGITS.keys() >= set(text):
        return None
    number = 0
    for character in text:
        number = number << 5 | _DIGITS[character]
    return number >> _RANDOM_BITS if number < 1 << _BITS else None


def earliest_time_of(prefix: str) -> int | None:
    """Return the earliest time, in ms since 1970, of the ids that begin so.

    If none of `new_execution_id`'s does, it is None.
    """
    missing = len(EXECUTION_PREFIX) + _LENGTH - len(prefix)
    return time_of(prefix + "0" * missing) if missing < _LENGTH else None


def new_message_id() -> str:
    """Return a fresh id for one message: `msg-` and 128 random bits in hex."""
    return MESSAGE_PREFIX + secrets.token_hex(16)


def new_trace_id() -> str:
    """Return a fresh id for one trace, as W3C's Trace Context spells it: 128 random bits in hex."""
    return secrets.token_hex(16)


def message_id_of(execution_id: str) -> str:
    """Return the message id of an execution whose caller named the execution, but no message.

    It is always the same one, so that who sends again under the same execution_id sends the same
    command.
    """
    return MESSAGE_PREFIX + _derived("message", execution_id)


def trace_id_of(execution_id: str) -> str:
    """Return the trace id of an execution whose caller named the execution, but no trace."""
    return _derived("trace", execution_id)


def _derived(what: str, execution_id: str) -> str:
    data = execution_id.encode(errors="surrogatepass")
    return hashlib.blake2b(data, digest_size=16, person=what.encode()).hexdigest()
