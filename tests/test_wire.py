"""by-framework's documents: read leniently, written so that its readers can read them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from by_cp.errors import InvalidInput
from by_cp.wire import PendingDelivery, WakeupDecision, WakeupRequest


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


def test_by_frameworks_older_and_other_ports_are_understood() -> None:
    """Numbers and objects as texts, the older names of two fields, and `tenant_id`."""
    request = WakeupRequest.from_dict(
        {
            "execution_id": "exec-1",
            "agent_type": "chat",
            "ttl_ms": "5000",
            "priority": "7",
            "tenant_id": "acme",
            "metadata": '{"a":1}',
            "command_payload": '{"body":{}}',
            "queued_at": "1700000000000",
        }
    )
    assert (request.target_agent_type, request.timeout_ms, request.priority) == ("chat", 5000, 7)
    assert request.user_code == "acme"
    assert (request.metadata, request.command_payload) == ({"a": 1}, {"body": {}})


def test_the_newer_name_wins() -> None:
    """Whoever writes both means the one that all ports read."""
    said = {"target_agent_type": "chat", "agent_type": "old", "timeout_ms": 1, "ttl_ms": 2}
    request = WakeupRequest.from_dict(said)
    assert (request.target_agent_type, request.timeout_ms) == ("chat", 1)


def test_a_decisions_workers_may_be_one_text() -> None:
    """As the Java port reads it, separated by commas."""
    assert WakeupDecision.from_dict({"worker_ids": "w-1, w-2"}).worker_ids == ["w-1", "w-2"]
    assert WakeupDecision.from_dict({"worker_ids": ""}).worker_ids == []


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("field", ["metadata", "command_payload", "priority", "region"])
def test_nothing_is_a_default(field: str, nothing: object) -> None:
    """A null or an empty text where by-framework's own readers crash."""
    assert PendingDelivery.from_dict({field: nothing}) == PendingDelivery.from_dict({})


@pytest.mark.parametrize(
    "said",
    [
        *({"priority": "high"}, {"priority": "1.5"}, {"timeout_ms": "soon"}, {"metadata": "{"}),
        *({"metadata": "[]"}, {"command_payload": 7}, {"session_id": ["s"]}),
    ],
)
def test_what_makes_no_sense_is_named(said: dict[str, Any]) -> None:
    """It is set aside with the reason, and stops nothing else."""
    with pytest.raises(InvalidInput, match=r"no WakeupRequest: .+"):
        WakeupRequest.from_dict(said)
