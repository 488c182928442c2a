"""The house's rules that import-linter cannot hold: see [tool.importlinter] for the others."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED_ROOMS = ["statemachine", "projections", "replay"]

# What a pure room may use beside the standard library and by-cp itself.
FOREIGN = {
    "statemachine": {"msgspec", "transitions"},
    "projections": {"msgspec"},
}


def imported(source: Path) -> Iterator[str]:
    """The name of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("room", FOREIGN)
def test_pure_rooms_use_few_foreign_packages(room: str) -> None:
    """A pure room stays pure: no client of a server, no clock, nothing random."""
    used = {
        name.partition(".")[0]
        for source in (ROOT / "by_cp" / room).rglob("*.py")
        for name in imported(source)
    }
    impure = {"asyncio", "datetime", "os", "random", "secrets", "socket", "time", "uuid"}
    assert used & impure == set()
    assert used - sys.stdlib_module_names - {"by_cp"} <= FOREIGN[room]


@pytest.mark.parametrize("room", LINKED_ROOMS)
def test_links_lead_to_the_rooms(room: str) -> None:
    """The links at the root are links, relative ones, to the rooms in by_cp."""
    assert (ROOT / room).readlink() == Path("by_cp") / room


@pytest.mark.parametrize("room", LINKED_ROOMS)
def test_bare_names_are_refused(room: str) -> None:
    """Imported through its link, a room would be loaded twice; it refuses, and says its name."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"ImportError: import by_cp.{room}" in done.stderr
