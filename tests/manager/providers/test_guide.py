"""The guide to providers is run: what it shows must work, and what it says must be so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from by_cp.limits import Limits
from by_cp.log.memory import MemoryStore
from by_cp.manager.providers.backlog import held_in
from by_cp.manager.providers.command import _VARIABLES, CommandProvider
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.routed import RoutedProvider
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.manager.providers.webhook import UNAVAILABLE, WRONG, WebhookProvider
from by_cp.protocol.responses import SendMessageResponse
from by_cp.testing.providers import ProviderContract
from by_cp.webhooks import new_secret, signed
from tests.manager.providers.starting import wake_of
from tests.test_docs import DOCS, example

PAGE = (DOCS / "providers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["process", "command-provider", "webhook", "routed"])
async def test_each_provider_is_made_as_it_is_shown(name: str) -> None:
    """The short examples are calls that are accepted."""
    classes = (ProcessProvider, WorkerSpec, CommandProvider, WebhookProvider, RoutedProvider)
    names: dict[str, Any] = {one.__name__: one for one in (*classes, Limits, Path)}
    surroundings = {
        "held_in": held_in,
        "plane": SimpleNamespace(store=MemoryStore()),
        "secret": new_secret(),
        "processes": CommandProvider(["true"]),
        "cluster": CommandProvider(["true"]),
    }
    provider = eval(example("providers.md", name), names | surroundings)  # noqa: S307 - our own
    async with provider as entered:
        assert entered is provider


async def test_the_example_wakes_its_worker() -> None:
    """A manager with the provider of twenty lines answers a caller who waits."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(example("providers.md", "task-provider"), names)  # noqa: S102 - it is our own
    exec(example("providers.md", "task-manager"), names)  # noqa: S102 - it is our own
    response: SendMessageResponse = await names["main"]()
    assert response.success, response.error


def test_the_example_keeps_the_contract(tmp_path: Path) -> None:
    """In a project of its own, with pytest alone."""
    names = ("task-provider", "contract")
    source = "\n".join(example("providers.md", name) for name in names)
    # Only so that it takes two seconds and not six: a worker's stop waits for its last look.
    quick = "import by_cp.worker\nby_cp.worker.BLOCK_MS = 10\n"
    (tmp_path / "test_mine.py").write_text(quick + source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    done = subprocess.run(
        [*command, "test_mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed, 1 skipped", done.stdout)


@pytest.mark.parametrize(
    ("agent_type", "kubectl", "status", "reason"),
    [
        ("echo", "true", "STARTING", ""),
        ("Echo Chamber", "true", "REJECTED", "no deployment can have that name"),
    ],
)
async def test_the_example_command_scales(
    tmp_path: Path, agent_type: str, kubectl: str, status: str, reason: str
) -> None:
    """With a kubectl that notes what it is asked."""
    (tmp_path / "wake").write_text(example("providers.md", "command"))
    (tmp_path / "kubectl").write_text(f'#!/bin/sh\necho "$@" > asked\n{kubectl}\n')
    for name in ("wake", "kubectl"):
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    async with CommandProvider([str(tmp_path / "wake")], env=env, directory=tmp_path) as provider:
        decision = await provider.wakeup(wake_of(agent_type))
    assert (decision.status, decision.reason) == (status, reason)
    if status == "STARTING":
        assert (tmp_path / "asked").read_text() == "scale --replicas=1 deployment/echo\n"


def test_the_example_receiver_believes_signed_requests_only() -> None:
    """It starts something for those, and for nobody else."""
    names: dict[str, Any] = {}
    exec(example("providers.md", "receiver"), names)  # noqa: S102 - it is our own
    secret, started = new_secret(), list[str]()

    def received(agent_type: str, key: str) -> int:
        body = json.dumps({"target_agent_type": agent_type}).encode()
        headers = signed(key, "17-0", int(time.time()), body)
        code: int = names["receive"](headers, body, secret, started.append)[0]
        return code

    assert [received("summarizer", secret), received("other", secret)] == [202, 400]
    assert received("summarizer", new_secret()) == 401
    assert started == ["17-0"]


def test_the_tables_are_those_of_the_code() -> None:
    """Variables, status codes and what can be overridden: all of them, and no other."""
    section = PAGE.partition("## Any executable")[2].partition("## ")[0]
    variables = set(re.findall(r"BY_CP_\w+", section))
    assert variables == set(_VARIABLES)
    for codes in (UNAVAILABLE, WRONG):
        assert ", ".join(map(str, sorted(codes))) in PAGE
    table = PAGE.partition("| to override |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)", row.split("|")[1])
    }
    public = {name for name in vars(ProviderContract) if not name.startswith(("_", "test_"))}
    assert named == public
