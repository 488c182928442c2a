"""by-framework's documents: read leniently, written so that its readers can read them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from by_cp.errors import InvalidInput
from by_cp.wire import WakeupRequest


@pytest.mark.parametrize(
    ("said", "epoch", "attempt"),
    [
        ({}, "", 1),
        ({"epoch": None, "attempt": None}, "", 1),
        ({"epoch": "17-0", "attempt": "2", "of a later release": {}}, "17-0", 2),
        ({"epoch": 17, "attempt": 3}, "17", 3),
    ],
)
def test_a_wakes_epoch_and_attempt_may_be_missing(
    said: dict[str, Any], epoch: str, attempt: int
) -> None:
    """by-framework writes neither: such a request is the first call of its wake."""
    request = WakeupRequest.from_dict({"execution_id": "exec-1", **said})
    assert (request.epoch, request.attempt) == (epoch, attempt)


def test_a_request_comes_back_from_its_stream_entry() -> None:
    """What is written is read again, epoch and attempt included, and nothing in it is null."""
    request = WakeupRequest(
        *("exec-1", "a", "s", "t", "m", "client", "WAKE_AND_QUEUE", 30_000), epoch="17-0", attempt=2
    )
    data = request.to_redis_payload()["data"]
    assert WakeupRequest.from_json(data) == request
    assert None not in msgspec.json.decode(data).values()


@pytest.mark.parametrize("said", [{"attempt": "second"}, {"epoch": ["17-0"]}])
def test_an_unreadable_epoch_or_attempt_is_named(said: dict[str, Any]) -> None:
    """It is an error of its own kind, which the one who reads can set aside."""
    with pytest.raises(InvalidInput, match="no WakeupRequest"):
        WakeupRequest.from_dict(said)
