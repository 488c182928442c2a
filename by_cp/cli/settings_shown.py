"""The settings as they would be used, in TOML, with where each is from; secrets are masked."""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs
from rich.console import Console
from rich.text import Text

from by_cp.manager.config import Agent, Settings, settings_of
from by_cp.manager.loading import AGENTS, Loaded, quoted
from by_cp.urls import without_password

MASK = "***"


def show(loaded: Loaded) -> None:
    """Print the settings. What is not set has no value in TOML, and stands there as a comment."""
    console = Console(highlight=False, soft_wrap=True)
    settings, sources = loaded
    for name, *_ in settings_of(Settings):
        line = _line(name, getattr(settings, name))
        console.print(Text.assemble(line, (f"  # {sources[name]}", "dim")))
    for agent_type, agent in settings.agents.items():
        header = f"\n[{AGENTS}.{quoted(agent_type)}]"
        source = sources[f"{AGENTS}.{agent_type}"]
        console.print(Text.assemble((header, "bold"), (f"  # {source}", "dim")))
        for name, value in _table(agent).items():
            console.print(Text(_line(name, value)))


def _table(agent: Agent) -> dict[str, Any]:
    return {"provider": agent.provider, **structs.asdict(agent)}


def _line(name: str, value: Any) -> str:
    if value is None:
        return f"# {name} ="
    if name == "url":
        value = without_password(value)
    if name in {"env", "headers"}:
        value = dict.fromkeys(value, MASK)
    return f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Return a value as TOML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # Of numbers, truth values and texts JSON is TOML, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
