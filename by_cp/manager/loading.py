"""Where the settings come from: flags before environment before file before defaults.

What is wrong is told with its source and its key, as in `by-cp.toml: agents.echo.max: expected a
whole number, not "two"`, and nothing is started.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from by_cp.errors import InvalidInput
from by_cp.manager.config import PROVIDERS, Agent, Setting, Settings, settings_of
from by_cp.names import check_name

AGENTS = "agents"
AGENTS_VARIABLE = "BY_CP_AGENTS"
CONFIG_VARIABLE = "BY_CP_CONFIG"
DEFAULT = "default"

VALUE_LENGTH_MAX = 40
"""A longer value is not repeated in a complaint."""

_SECRET = {"url", "env", "headers"}
"""Settings whose values may hold a secret: no complaint repeats them."""

_SETTINGS = {setting.name: setting for setting in settings_of(Settings)}

_WORDS = {
    " | null": "",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`str`": "a text",
    "`array`": "a list",
    "`object`": "a table",
}


class Loaded(NamedTuple):
    """The settings, and where each is from."""

    settings: Settings
    sources: Mapping[str, str]
    """Setting's name, or `agents.NAME` -> the file's name, `$VARIABLE`, `--flag` or `default`."""


def load(
    file: Path | None = None,
    *,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    workers: Mapping[str, list[str]],
) -> Loaded:
    """Put the settings together.

    Args:
        file: in TOML; without one, $BY_CP_CONFIG says it, or there is none.
        environment: the variables; empty ones count as not set.
        flags: setting -> value, those that were given.
        workers: agent type -> command, from `--worker`.

    Raises:
        InvalidInput: the file cannot be read, a setting is not known, or a value is not acceptable.

    """
    environment = {name: text for name, text in environment.items() if text}
    if file is None and CONFIG_VARIABLE in environment:
        file = Path(environment[CONFIG_VARIABLE])
    merged = _Merged()
    if file is not None:
        merged.add_file(str(file), _read(file))
    for name in _SETTINGS:
        if variable(name) in environment:
            merged.add(name, environment[variable(name)], variable(name), strict=False)
    if AGENTS_VARIABLE in environment:
        merged.add_agents(_json(environment[AGENTS_VARIABLE]), f"${AGENTS_VARIABLE}")
    for name, value in flags.items():
        merged.add(name, value, flag(name))
    tables = {name: {"provider": "process", "command": line} for name, line in workers.items()}
    merged.add_agents(tables, "--worker")
    return merged.loaded()


def variable(name: str) -> str:
    """Return the environment variable of a setting, without the `$`."""
    return f"BY_CP_{name.upper()}"


def flag(name: str) -> str:
    """Return the command line's flag of a setting."""
    return "--" + name.replace("_", "-")


def quoted(name: str) -> str:
    """Return a name as it stands in a key of TOML."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else msgspec.json.encode(name).decode()


class _Merged:
    """Settings as they come in, one source after another; each is checked at once."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._agents: dict[str, Agent] = {}
        self._sources = dict.fromkeys(_SETTINGS, DEFAULT)

    def add_file(self, source: str, table: dict[str, Any]) -> None:
        """Add all that a file says."""
        self.add_agents(table.pop(AGENTS, {}), source)
        for name, value in table.items():
            if name not in _SETTINGS:
                raise _unknown(f"{source}: {name}", name, (*_SETTINGS, AGENTS))
            self._values[name] = _converted(f"{source}: {name}", _SETTINGS[name], value)
            self._sources[name] = source

    def add(self, name: str, value: Any, where: str, *, strict: bool = True) -> None:
        """Add one setting from the environment, where all is text, or from a flag."""
        where = where if strict else f"${where}"
        self._values[name] = _converted(where, _SETTINGS[name], value, strict=strict)
        self._sources[name] = where

    def add_agents(self, tables: Any, source: str) -> None:
        """Add agent types; one that is there already is replaced as a whole."""
        if not isinstance(tables, Mapping):
            raise InvalidInput(f"{source}: {AGENTS}: expected a table for each agent type")
        for agent_type, table in tables.items():
            check_name(f"{source}: {AGENTS}:", agent_type)
            self._agents[agent_type] = _agent(f"{source}: {AGENTS}.{quoted(agent_type)}", table)
            self._sources[f"{AGENTS}.{agent_type}"] = source

    def loaded(self) -> Loaded:
        """Return what came together."""
        return Loaded(Settings(**self._values, agents=self._agents), self._sources)


def _agent(where: str, table: Any) -> Agent:
    if not isinstance(table, Mapping):
        raise InvalidInput(f"{where}: expected a table, with `provider` and what it needs")
    provider = table.get("provider")
    if provider not in PROVIDERS:
        choices = ", ".join(map(_shown, PROVIDERS))
        raise InvalidInput(f"{where}.provider: expected one of {choices}{_not(provider)}")
    kind = PROVIDERS[provider]
    known = {setting.name: setting for setting in settings_of(kind)}
    values = {}
    for name, value in table.items():
        if name == "provider":
            continue
        if name not in known:
            raise _unknown(f"{where}.{quoted(name)}", name, known)
        values[name] = _converted(f"{where}.{name}", known[name], value)
    for name, setting in known.items():
        if name not in values and setting.default is msgspec.NODEFAULT:
            raise InvalidInput(f"{where}.{name} is missing: {setting.description}")
    return kind(**values)


def _converted(where: str, setting: Setting, value: Any, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(value, setting.type, strict=strict)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        expected = text.removeprefix("Expected ").partition(", got")[0]
        if text.startswith("Invalid enum value"):
            expected = "one of " + ", ".join(map(_shown, get_args(get_args(setting.type)[0])))
        for theirs, ours in _WORDS.items():
            expected = expected.replace(theirs, ours)
        found = "" if place or setting.name in _SECRET else _not(value)
        raise InvalidInput(f"{where}{place.rstrip('`')}: expected {expected}{found}") from None


def _unknown(where: str, name: str, known: Iterable[str]) -> InvalidInput:
    close = difflib.get_close_matches(name, tuple(known), 1)
    return InvalidInput(f"{where} is no setting" + (f"; is {close[0]} meant?" if close else ""))


def _not(value: Any) -> str:
    text = _shown(value)
    return f", not {text}" if value is not None and len(text) <= VALUE_LENGTH_MAX else ""


def _shown(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InvalidInput(f"{file} is no TOML: {error}") from error


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"${AGENTS_VARIABLE} is no JSON: {error}") from error
