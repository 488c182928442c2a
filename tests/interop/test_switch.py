"""Switching by-framework to by-cp's router, and back."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from by_framework import AgentContext, AvailabilityRouter, GatewayClient, WorkerRegistry
from by_framework.core.extensions import PluginRegistry
from redis.asyncio import Redis

from by_cp import interop
from by_cp.errors import InteropUnavailable
from by_cp.interop import switch
from by_cp.log.redis.store import RedisStore

SWITCHED = (
    (AvailabilityRouter, "prepare_delivery"),
    (WorkerRegistry, "initialize_execution"),
    (AgentContext, "call_agent"),
    (PluginRegistry, "on_call_agent_start"),
)


def methods() -> list[Any]:
    """The methods that are replaced, as they are now."""
    return [vars(owner)[name] for owner, name in SWITCHED]


def test_what_is_switched_is_switched_back() -> None:
    """Undone as easily: after it, the very same methods are in their places."""
    before = methods()
    with interop.installed():
        assert all(now is not was for now, was in zip(methods(), before, strict=True))
    assert methods() == before


def test_switching_twice_is_switching_once() -> None:
    """Nothing is wrapped in itself, and the inner of two contexts does not end the outer's."""
    before = methods()
    interop.install()
    once = methods()
    with interop.installed():
        interop.install()
        assert methods() == once
    assert methods() == once
    interop.uninstall()
    interop.uninstall()
    assert methods() == before


def test_replaced_methods_are_called_as_before() -> None:
    """Whoever looks at a signature sees by-framework's."""
    before = [inspect.signature(method) for method in methods()]
    with interop.installed():
        assert [inspect.signature(method) for method in methods()] == before


def test_the_release_that_is_tested_is_known() -> None:
    """These tests say something only about the release that they ran with."""
    assert version("by-framework") in interop.KNOWN_RELEASES


def test_an_unknown_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a message that says which are known, and what else to do. Nothing is changed."""
    monkeypatch.setattr(switch, "KNOWN_RELEASES", ("0.1.0",))
    before = methods()
    with pytest.raises(InteropUnavailable, match=r"0\.2\.1, only 0\.1\.0: install one of these"):
        interop.install()
    assert methods() == before


def test_another_schema_of_keys_is_refused(tmp_path: Path) -> None:
    """Else the two would look for each other under different keys. 0.2.1 knows schema v1 only."""
    done = subprocess.run(
        [sys.executable, "-c", "import by_cp.interop; by_cp.interop.install()"],
        env={**os.environ, "REDIS_KEY_SCHEMA_VERSION": "v2"},
        cwd=tmp_path,  # by-framework writes a log file there
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "InteropUnavailable: by-framework 0.2.1 does not use the keys of schema v2" in done.stderr
    )


async def test_nothing_else_is_needed(redis: Redis, theirs: Redis) -> None:
    """A client that was made before the switch is switched, too, and back."""
    client = GatewayClient(registry=WorkerRegistry(theirs))
    store = RedisStore(redis)
    with interop.installed():
        assert not (await client.send_message("nobody", "session-1", "hello")).success
        [requested, rejected] = await store.read()
        assert [requested.event.name, rejected.event.name] == ["Requested", "Rejected"]
    assert not (await client.send_message("nobody", "session-1", "hello")).success
    assert len(await store.read()) == 2
