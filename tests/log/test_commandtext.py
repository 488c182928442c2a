"""A worker's command as text: encoded once, cut where a fallback writes another name."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.errors import InvalidInput
from by_cp.log.commandtext import cut
from by_cp.testing.strategies import json_objects, names, payloads


@given(payloads(), names())
def test_only_the_targets_name_is_set(payload: dict[str, Any], name: str) -> None:
    """Whatever else the payload says arrives: empty lists, big integers, the order of keys."""
    before = copy.deepcopy(payload)
    text = cut(payload, name).whole
    decoded = json.loads(text)
    assert decoded["header"].pop("target_agent_type") == name
    del before["header"]["target_agent_type"]
    assert decoded == before
    assert list(decoded) == list(payload)


@given(payloads(), names(), names())
def test_readdressing_changes_nothing_else(payload: dict[str, Any], one: str, other: str) -> None:
    """A command that is readdressed is the command that would have been written at once."""
    command = cut(payload, one)
    assert command.addressed(other) == cut(payload, other).whole.decode()
    assert command.addressed("") == command.whole.decode()


@given(payloads(), names())
def test_the_caller_keeps_its_payload(payload: dict[str, Any], name: str) -> None:
    """Encoding changes nothing in the object that was handed in."""
    before = copy.deepcopy(payload)
    cut(payload, name)
    assert payload == before


@given(json_objects(), names())
def test_a_header_is_made_where_there_is_none(payload: dict[str, Any], name: str) -> None:
    """A worker finds its target where it looks for it."""
    payload.pop("header", None)
    assert json.loads(cut(payload, name).whole) == payload | {"header": {"target_agent_type": name}}


def test_the_text_is_compact_and_utf8() -> None:
    """No escapes but those that JSON needs; nothing is sorted or rounded."""
    payload = {"b": [], "header": {"z": 2**60, "target_agent_type": "?"}, "a": {"x": "🦜\n"}}
    assert cut(payload, 'a"/').whole.decode() == (
        '{"b":[],"header":{"z":1152921504606846976,"target_agent_type":"a\\"\\/"},'
        '"a":{"x":"🦜\\n"}}'
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"body": float("nan")},
        {"body": float("inf")},
        {"body": b"bytes"},
        {"body": {1: "int key"}, 2: "another"},
        {"body": {"a set"}},
        {"body": "\ud800"},
        {"header": []},
        {"header": None},
    ],
    ids=lambda payload: ascii(payload)[:40],
)
def test_what_is_no_json_object_is_refused(payload: dict[str, Any]) -> None:
    """The caller learns it before anything is written."""
    with pytest.raises(InvalidInput):
        cut(payload, "chat")


def test_a_payload_that_contains_itself_is_refused() -> None:
    """It has no end."""
    payload: dict[str, Any] = {}
    payload["body"] = payload
    with pytest.raises(InvalidInput):
        cut(payload, "chat")


@given(st.integers(1_000, 100_000))
def test_depth_is_refused_or_encoded_but_never_fatal(depth: int) -> None:
    """However deep a payload nests."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    try:
        command = cut({"body": nested}, "chat")
    except InvalidInput:
        return
    assert command.whole.count(b"[") == depth + 1
