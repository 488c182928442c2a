"""What the tests of operators' commands need: the real command, and a log with something in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

from by_cp.cli.main import main
from by_cp.control_plane import ControlPlane
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import force_circuit, settle

BY_CP = (sys.executable, "-m", "by_cp.cli")


class Command:
    """The `by-cp` command on one server, as a person or a script runs it."""

    def __init__(self, url: str) -> None:
        self._environment = {**os.environ, "BY_CP_URL": url, "COLUMNS": "80"}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run it, and return what it printed; if it is to fail, its one line on stderr."""
        ran, output, errors = self.run(*arguments)
        assert ran == code, output + errors
        assert "Traceback" not in errors
        assert all(len(line) <= 80 for line in output.splitlines() if line[:1] not in "[{")
        if not output and code:
            assert errors.count("\n") == 1
            return errors
        return output

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it; its exit code, output and errors.

        In this process where that can be: a process of its own takes half a second.
        """
        if threading.current_thread() is threading.main_thread():
            with (
                patch.dict(os.environ, self._environment),
                redirect_stdout(io.StringIO()) as output,
                redirect_stderr(io.StringIO()) as errors,
            ):
                return main(arguments), output.getvalue(), errors.getvalue()
        done = subprocess.run(
            (*BY_CP, *arguments),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run it with --json, and return the document."""
        return json.loads(self(*arguments, "--json", code=code))


@asynccontextmanager
async def plane_with_dead_letters(url: str, count: int) -> AsyncIterator[ControlPlane]:
    """A control plane in which so many commands for `echo` have died."""
    async with ControlPlane.connect(url) as plane:
        for number in range(count):
            await hold(plane, f"dead-{number}", RoutePolicy.WAKE_AND_QUEUE)
        if count:
            await settle(plane.store, "dead-0", "FAILED", reason="no image")
            await force_circuit(plane.store, "AUTO")
        yield plane


async def hold(
    plane: ControlPlane, execution_id: str, policy: str = RoutePolicy.QUEUE_ONLY, **rest: Any
) -> None:
    """Send something to `echo`, who is not there."""
    response = await plane.client.send_message(
        "echo", "session-1", "hello", route_policy=policy, execution_id=execution_id, **rest
    )
    assert response.success
