"""Limits of child processes: the kernel holds them, and what cannot be given is refused at once."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import pytest

from by_cp.deathsig import dying_with_parent
from by_cp.errors import InvalidInput
from by_cp.limits import CPU_GRACE_S, Limits


def run(source: str, limits: Limits) -> subprocess.CompletedProcess[str]:
    """Run Python source under limits."""
    command = dying_with_parent([sys.executable, "-c", source], limits)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_process_finds_its_limits() -> None:
    """They are the kernel's own. CPU time ends with a signal, and a little later with SIGKILL."""
    source = """
import json, resource
kinds = (resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE)
print(json.dumps([resource.getrlimit(kind) for kind in kinds]))
"""
    done = run(source, Limits(memory_bytes=2**30, cpu_s=7, open_files=50))
    assert json.loads(done.stdout) == [[2**30, 2**30], [7, 7 + CPU_GRACE_S], [50, 50]]


def test_memory_is_limited() -> None:
    """An allocation beyond the limit fails in the process, and nowhere else."""
    done = run("bytearray(300_000_000)", Limits(memory_bytes=100_000_000))
    assert done.stderr.rstrip().endswith("MemoryError")


def test_no_limits_are_this_process_own() -> None:
    """Without any, a child has what its parent has."""
    source = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert run(source, Limits()).stdout.strip() == str(resource.getrlimit(resource.RLIMIT_NOFILE))


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"memory_bytes": 0}, "memory_bytes 0 is not between 1"),
        ({"cpu_s": 1.5}, "cpu_s must be an int, not float"),
        ({"open_files": 2**40}, "open_files 1,099,511,627,776 is over what this process may give"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(limits: dict[str, Any], problem: str) -> None:
    """What the child could only die of is told before there is a child."""
    with pytest.raises(InvalidInput, match=problem):
        Limits(**limits)
