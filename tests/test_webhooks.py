"""Signed webhooks: whoever has the secret is believed, for a while, and nobody else."""

from __future__ import annotations

import pytest

from by_cp.errors import InvalidInput
from by_cp.webhooks import InvalidSignature, new_secret, signed, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - a published example
BODY = b'{"test": 2432232314}'
NOW_S = 1_614_265_330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW_S),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""What the libraries of Standard Webhooks make of these."""


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """A receiver may check it with any library of that standard."""
    assert signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW_S, BODY) == HEADERS


def test_a_good_request_is_believed() -> None:
    """Whatever case its headers are in; its id is what repetitions have in common."""
    headers = {name.title(): value for name, value in HEADERS.items()}
    assert verify(headers, BODY, SECRET, now_s=NOW_S) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_secret_can_be_replaced_without_a_gap() -> None:
    """Sender or receiver may have both for a time, whoever is first."""
    new = new_secret()
    both = signed([new, SECRET], "id", NOW_S, BODY)
    assert verify(both, BODY, SECRET, now_s=NOW_S) == verify(both, BODY, new, now_s=NOW_S) == "id"
    assert verify(HEADERS, BODY, [new, SECRET], now_s=NOW_S)


@pytest.mark.parametrize(
    ("headers", "body", "now_s", "problem"),
    [
        ({}, BODY + b" ", NOW_S, "no signature is right"),
        ({"webhook-id": "msg_other"}, BODY, NOW_S, "no signature is right"),
        ({"webhook-timestamp": str(NOW_S + 1)}, BODY, NOW_S, "no signature is right"),
        ({"webhook-signature": ""}, BODY, NOW_S, "no signature is right"),
        ({"webhook-signature": "v1,ü"}, BODY, NOW_S, "no signature is right"),
        ({"webhook-timestamp": "now"}, BODY, NOW_S, "is no whole number"),
        ({}, BODY, NOW_S + 301, "signed 301 s ago"),
        ({}, BODY, NOW_S - 301, "signed -301 s ago"),
    ],
)
def test_anything_else_is_not(
    headers: dict[str, str], body: bytes, now_s: int, problem: str
) -> None:
    """Changed, replayed late, signed by another or not at all."""
    with pytest.raises(InvalidSignature, match=problem):
        verify(HEADERS | headers, body, SECRET, now_s=now_s)


def test_a_missing_header_is_named() -> None:
    """So that a proxy that drops it is found."""
    headers = {name: value for name, value in HEADERS.items() if name != "webhook-id"}
    with pytest.raises(InvalidSignature, match="'webhook-id' is missing"):
        verify(headers, BODY, SECRET)


@pytest.mark.parametrize("secret", ["", "hunter2hunter2hunter2hunter2", "whsec_", "whsec_AAAA", []])
def test_a_weak_secret_is_refused(secret: str | list[str]) -> None:
    """The error says how to make one, and does not repeat it."""
    with pytest.raises(InvalidInput, match="new_secret") as caught:
        signed(secret, "id", NOW_S, BODY)
    assert "hunter2" not in str(caught.value)
