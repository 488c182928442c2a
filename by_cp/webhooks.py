"""Signed webhooks: what by-cp puts on a request, and how a receiver checks it.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com), which has libraries in
many languages. Three headers: `webhook-id`, `webhook-timestamp` (seconds since 1970) and
`webhook-signature`, which is `v1,` and the base64 of an HMAC-SHA256 over `ID.TIMESTAMP.BODY`; of
several signatures, for the time in which a secret is replaced, one must be right.

This needs no other library. In a receiver::

    from by_cp.webhooks import InvalidSignature, verify

    verify(request.headers, await request.body(), SECRET)  # raises InvalidSignature
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets as randomness
import time
from collections.abc import Mapping, Sequence

from by_cp.errors import ByCpError, InvalidInput

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

TOLERANCE_S = 300
"""A request may be so old, or so far ahead of the receiver's clock."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with is none
SECRET_BYTES = 32
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64


class InvalidSignature(ByCpError):
    """A webhook is not from who has the secret, or too old. Answer 401, and do nothing else."""


def new_secret() -> str:
    """Return a new secret, for both sides."""
    key = randomness.token_bytes(SECRET_BYTES)
    return SECRET_PREFIX + base64.b64encode(key).decode()


def signed(
    secrets: str | Sequence[str], webhook_id: str, now_s: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of a request.

    Args:
        secrets: one secret, or, while one is being replaced, the new and the old one.
        webhook_id: names the request: the same one for a repetition of the same request.
        now_s: the time, in seconds since 1970.
        body: exactly what is sent.

    Raises:
        InvalidInput: a secret is none.

    """
    signatures = [_signature(key, webhook_id, str(now_s), body) for key in keys_of(secrets)]
    return {ID: webhook_id, TIMESTAMP: str(now_s), SIGNATURE: " ".join(signatures)}


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> str:
    """Check a request, in constant time, and return its id.

    The id tells repetitions of the same request: a receiver that has answered it answers it again,
    and does nothing twice.

    Args:
        headers: the request's; upper and lower case are the same.
        body: exactly what was received, not decoded and encoded again.
        secrets: one secret, or several of which any will do.
        tolerance_s: how old it may be, in seconds.
        now_s: the time, in seconds since 1970; None asks the clock.

    Raises:
        InvalidSignature: it is not to be trusted.
        InvalidInput: a secret is none.

    """
    keys = keys_of(secrets)
    found = {name.lower(): value for name, value in headers.items()}
    try:
        webhook_id, timestamp, given = found[ID], found[TIMESTAMP], found[SIGNATURE].split()
        age_s = (time.time() if now_s is None else now_s) - int(timestamp)
    except KeyError as error:
        raise InvalidSignature(f"the header {error} is missing") from error
    except ValueError as error:
        raise InvalidSignature(f"the header {TIMESTAMP!r} is no whole number") from error
    if abs(age_s) > tolerance_s:
        raise InvalidSignature(f"the request was signed {age_s:.0f} s ago, over {tolerance_s} s")
    matches = [
        hmac.compare_digest(_signature(key, webhook_id, timestamp, body).encode(), one.encode())
        for key in keys
        for one in given
    ]
    if not any(matches):
        raise InvalidSignature("no signature is right")
    return webhook_id


def keys_of(secrets: str | Sequence[str]) -> list[bytes]:
    """Return the keys that secrets are the texts of.

    Raises:
        InvalidInput: a secret is none, or there is none.

    """
    texts = [secrets] if isinstance(secrets, str) else list(secrets)
    if not texts:
        raise InvalidInput("a webhook needs a secret; by_cp.webhooks.new_secret() makes one")
    return [_key(text) for text in texts]


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if encoded == secret or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise InvalidInput(  # without the secret
            f"a webhook's secret is {SECRET_PREFIX!r} and the base64 of {SECRET_BYTES_MIN} to "
            f"{SECRET_BYTES_MAX} random bytes; by_cp.webhooks.new_secret() makes one"
        )
    return key


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()
