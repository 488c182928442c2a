"""What the commands of `by-cp log` print: lines for people, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text


def show(lines: Iterable[tuple[str, str]]) -> None:
    """Print lines, each with a word before it."""
    console = Console(soft_wrap=True, highlight=False)
    for word, text in lines:
        console.print(Text.assemble((f"{word:<9} ", "dim"), text))


def show_json(told: dict[str, Any]) -> None:
    """Print one object."""
    Console(soft_wrap=True, highlight=False).print_json(json.dumps(told), indent=None)
