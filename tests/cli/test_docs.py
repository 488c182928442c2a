"""The page on the commands: none is missing, and none is there that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from by_cp.cli.main import build

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    """In a table of the page, subcommands included; a group without a command of its own is not."""
    app = build()
    commands: set[str] = set()
    for name in app:
        if name.startswith("-"):
            continue
        below = [c for c in app[name] if not c.startswith("-") and app[name][c].show]
        commands.update(f"{name} {child}" for child in below)
        if not below or app[name].default_command:
            commands.add(name)
    tables = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    documented = {
        command
        for line in tables
        for command in re.findall(r"`by-cp ([a-z ]+)`", line.split("|")[1])
    }
    assert documented == commands
