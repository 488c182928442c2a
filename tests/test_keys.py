"""The keys: spelled as specified, and never two names in one key."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.keys import PREFIX, RedisKeys, quote, wake_group
from by_cp.testing.strategies import NASTY_NAMES, names, regions, tenants

SPECIFIED = {
    "mgmt:wakeup": RedisKeys.control_plane_wakeup_stream(),
    "mgmt:wakeup:result:exec-1": RedisKeys.control_plane_wakeup_result_stream("exec-1"),
    "mgmt:delivery:pending": RedisKeys.control_plane_delivery_pending_stream(),
    "mgmt:deadletter": RedisKeys.control_plane_deadletter_stream(),
    "availability:agent_type:chat": RedisKeys.control_plane_agent_availability("chat"),
    "circuit:agent_type:chat": RedisKeys.control_plane_agent_circuit("chat"),
    "fallback:agent_type:chat": RedisKeys.control_plane_agent_fallback("chat"),
    "quota:tenant:acme": RedisKeys.control_plane_tenant_quota("acme"),
    "wakeup:dedupe:chat:acme:eu": RedisKeys.control_plane_wakeup_dedupe("chat", "acme", "eu"),
}

BY_FRAMEWORKS = {
    "byai_gateway:ctrl:agent_type:chat": RedisKeys.ctrl_stream("chat"),
    "byai_gateway:ctrl:worker:w-1": RedisKeys.worker_ctrl_stream("w-1"),
    "byai_gateway:registry:workers": RedisKeys.KNOWN_WORKERS,
    "byai_gateway:registry:agent_type:workers:chat": RedisKeys.agent_type_members("chat"),
    "byai_gateway:registry:worker:agent_types:w-1": RedisKeys.worker_declared_agent_types("w-1"),
    "byai_gateway:registry:worker:online:w-1": RedisKeys.worker_online_lease("w-1"),
}

MAKERS: dict[str, Callable[..., str]] = {
    name: maker
    for name, maker in vars(RedisKeys).items()
    if not name.startswith("_") and isinstance(maker, staticmethod)
}
OF_ONE_NAME = [
    name
    for name, maker in MAKERS.items()
    if len(inspect.signature(maker).parameters) == 1 and name not in {"wake", "wake_members"}
]


@pytest.mark.parametrize("suffix", SPECIFIED)
def test_specified_keys_are_spelled_as_specified(suffix: str) -> None:
    """Below `byai_gateway:control_plane:`, letter for letter."""
    assert SPECIFIED[suffix] == f"byai_gateway:control_plane:{suffix}"


@pytest.mark.parametrize("key", BY_FRAMEWORKS)
def test_by_frameworks_keys_are_spelled_as_it_does(key: str) -> None:
    """Its workers and ours share them."""
    assert BY_FRAMEWORKS[key] == key


def test_an_absent_tenant_or_region_is_by_frameworks_underscore() -> None:
    """And a tenant of that name is not taken for none."""
    key = RedisKeys.control_plane_wakeup_dedupe
    assert key("chat", "", "") == f"{PREFIX}wakeup:dedupe:chat:_:_"
    assert key("chat", "_", "") == f"{PREFIX}wakeup:dedupe:chat:%5F:_"


def test_what_by_cp_adds_stands_below_its_own_prefix() -> None:
    """Whoever cleans up after by-cp knows where to look."""
    ours = {name for name in MAKERS if not name.startswith(("ctrl", "worker", "agent", "session"))}
    for name in ours:
        arguments = ["x"] * len(inspect.signature(MAKERS[name]).parameters)
        assert MAKERS[name](*arguments).startswith(PREFIX), name


@given(st.lists(names(), min_size=2, max_size=6, unique=True))
def test_no_two_things_share_a_key(some: list[str]) -> None:
    """Whatever the names: colons, braces, percent signs, and names that look like other keys."""
    some += [key.removeprefix(PREFIX) for key in SPECIFIED]
    keys = [MAKERS[maker](name) for maker, name in product(OF_ONE_NAME, dict.fromkeys(some))]
    assert len(set(keys)) == len(keys)


PARTS = st.tuples(names(), tenants(), regions())


@given(PARTS, PARTS)
def test_wake_groups_are_told_apart(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """`a:b` of tenant `c` is not `a` of tenant `b:c`: by-framework wakes only one of them."""
    assert (wake_group(*one) == wake_group(*other)) == (one == other)


def test_wake_groups_of_nasty_names_are_told_apart() -> None:
    """All of them, in all places."""
    some = ("", *NASTY_NAMES)
    groups = [wake_group(*parts) for parts in product(NASTY_NAMES, some, some)]
    assert len(set(groups)) == len(groups)


@given(names())
def test_quoted_names_hold_no_separator_and_no_hash_tag(name: str) -> None:
    """So they may stand in the middle of a key, on a cluster too."""
    assert not set(quote(name)) & set(":{}")
