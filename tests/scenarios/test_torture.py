"""The torture in small: managers killed at random moments, and the server, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "benchmarks" / "torture"
SMALL = ("--kills", "10", "--seconds", "10", "--absence-s", "1", "--senders", "4", "--seed", "7")


@pytest.mark.timeout(200)
def test_whoever_is_killed_nothing_is_lost_and_nothing_happens_twice() -> None:
    """Ten kills of two managers with real workers, and a second without a server.

    The program checks every command, every view and every call of the provider; `make torture` is
    the same with 200 kills.
    """
    command = (sys.executable, str(TORTURE), *SMALL, "--pause-s", "0.5")
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kills 10" in done.stdout
