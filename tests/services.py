"""Managers as real processes: started with flags, watched through their log and their health."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.waiting import until

BY_CP = (sys.executable, "-m", "by_cp.cli")


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Ask over HTTP; the status and the document."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


class ManagerProcess:
    """A manager that runs. Made by `manager_process`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """What it has logged so far, or of that one event."""
        complete = self._log.read_text().rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in complete]
        return [line for line in lines if event in ("", line["event"])]

    async def has_logged(self, event: str, timeout_s: float = 20) -> dict[str, Any]:
        """Wait until it logs an event; the line."""

        def logged() -> bool:
            if self.process.poll() is None or self.lines(event):
                return bool(self.lines(event))
            raise AssertionError(f"it ended with {self.process.returncode}: {self.lines()}")

        await until(logged, timeout_s)
        return self.lines(event)[-1]

    async def health(self, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
        """Ask for its health; the status and the report."""
        port = (await self.has_logged("health_served"))["port"]
        return await asyncio.to_thread(get, port, path)

    async def is_ready(self) -> bool:
        """Tell whether it is ready."""
        return (await self.health())[0] == 200

    async def ended(self, timeout_s: float = 20) -> int:
        """Wait until it has ended; the exit code."""
        return await asyncio.to_thread(self.process.wait, timeout_s)

    async def ends_after(self, *signals: signal.Signals, timeout_s: float = 20) -> int:
        """Send it signals, and wait until it has ended; the exit code."""
        for number in signals:
            self.process.send_signal(number)
        return await self.ended(timeout_s)


@contextmanager
def manager_process(url: str, log: Path, *flags: str) -> Iterator[ManagerProcess]:
    """A manager that runs meanwhile, and is killed at the end if it still does."""
    given = ("--url", url, "--health-port", "0", "--log-format", "json", *flags)
    with log.open("ab") as stderr:
        process = subprocess.Popen([*BY_CP, "manager", *given], stderr=stderr)
    try:
        yield ManagerProcess(process, log)
    finally:
        process.kill()
        process.wait()
