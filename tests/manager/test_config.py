"""The manager's settings: who wins, and what is told of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from by_cp.errors import InvalidInput
from by_cp.manager.config import ProcessAgent, Settings
from by_cp.manager.loading import Loaded, load
from by_cp.manager.providers.command import CommandProvider
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.webhook import WebhookProvider
from by_cp.manager.wiring import check_agents, provider_of
from by_cp.webhooks import new_secret

ECHO = '[agents.echo]\nprovider = "process"\ncommand = ["run", "echo"]\n'


def loaded(
    text: str = "",
    environment: Mapping[str, str] | None = None,
    *,
    at: Path | None = None,
    workers: Mapping[str, list[str]] | None = None,
    **flags: Any,
) -> Loaded:
    """The settings, with a file of this text if there is a place for it."""
    if at is not None:
        at.write_text(text)
    return load(at, environment=environment or {}, flags=flags, workers=workers or {})


def test_without_anything_all_is_default() -> None:
    """No file, no variable, no flag: it works, with the defaults."""
    settings, sources = loaded()
    assert settings == Settings()
    assert set(sources.values()) == {"default"}


def test_flags_go_before_environment_before_file(tmp_path: Path) -> None:
    """Each setting is from the first source that has it, and that is remembered."""
    file = tmp_path / "by-cp.toml"
    settings, sources = loaded(
        "wakes_max = 1\nattempts_max = 1\ngate_interval_s = 1\n",
        {"BY_CP_WAKES_MAX": "2", "BY_CP_ATTEMPTS_MAX": "2"},
        at=file,
        wakes_max=3,
    )
    assert (settings.wakes_max, settings.attempts_max, settings.gate_interval_s) == (3, 2, 1.0)
    assert sources["wakes_max"] == "--wakes-max"
    assert sources["attempts_max"] == "$BY_CP_ATTEMPTS_MAX"
    assert sources["gate_interval_s"] == str(file)
    assert sources["sweep_interval_s"] == "default"


def test_an_agent_type_is_from_one_source_as_a_whole(tmp_path: Path) -> None:
    """The environment and `--worker` add agent types, and replace those of the same name."""
    settings, sources = loaded(
        ECHO + ECHO.replace("echo", "report") + ECHO.replace("agents.echo", "agents.night"),
        {"BY_CP_AGENTS": '{"report": {"provider": "process", "command": ["from", "env"]}}'},
        at=tmp_path / "by-cp.toml",
        workers={"echo": ["from", "flag"]},
    )
    assert settings.agents == {
        "echo": ProcessAgent(command=["from", "flag"]),
        "report": ProcessAgent(command=["from", "env"]),
        "night": ProcessAgent(command=["run", "echo"]),
    }
    assert sources["agents.report"] == "$BY_CP_AGENTS"


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    """$BY_CP_CONFIG is for where nobody can give a flag."""
    file = tmp_path / "by-cp.toml"
    file.write_text("wakes_max = 5")
    assert loaded(environment={"BY_CP_CONFIG": str(file)}).settings.wakes_max == 5


def test_an_empty_variable_is_none() -> None:
    """`BY_CP_HEALTH_PORT=` in a template that nobody filled in changes nothing."""
    assert loaded(environment={"BY_CP_HEALTH_PORT": ""}).settings.health_port is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("wakes_max = ", "is no TOML: Invalid value (at end of document)"),
        ("wake_max = 3", "wake_max is no setting; is wakes_max meant?"),
        ("wakes_max = '3'", 'wakes_max: expected a whole number, not "3"'),
        ("wakes_max = 0", "wakes_max: expected a whole number >= 1, not 0"),
        ("health_port = 70000", "health_port: expected a whole number <= 65535, not 70000"),
        (
            "log_level = 'loud'",
            'log_level: expected one of "debug", "info", "warning", "error", not "loud"',
        ),
        ("agents = 3", "agents: expected a table for each agent type"),
        ("[agents.' a']", "agents: ' a' must not begin or end with white space"),
        ("agents.a = 3", "agents.a: expected a table, with `provider` and what it needs"),
        (
            "[agents.a]\nprovider = 'wish'",
            'agents.a.provider: expected one of "process", "webhook", "command", not "wish"',
        ),
        ("[agents.'a b']\nprovider = 'process'", 'agents."a b".command is missing: '),
        (ECHO + "comand = 3", "agents.echo.comand is no setting; is command meant?"),
        (ECHO.replace('["run", "echo"]', '"run"'), 'echo.command: expected a list, not "run"'),
        (ECHO.replace('"run"', "3"), "agents.echo.command[0]: expected a text"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(text: str, complaint: str, tmp_path: Path) -> None:
    """The complaint begins with the file, names the key, and says what was expected."""
    file = tmp_path / "by-cp.toml"
    with pytest.raises(InvalidInput) as refusal:
        loaded(text, at=file)
    assert str(refusal.value).startswith(str(file))
    assert complaint in str(refusal.value)


def test_a_wrong_variable_or_flag_is_told_by_its_name() -> None:
    """Nobody looks into a file for what came from elsewhere."""
    with pytest.raises(InvalidInput, match=r"^\$BY_CP_HEALTH_PORT: expected a whole number"):
        loaded(environment={"BY_CP_HEALTH_PORT": "tcp://10.0.0.1:80"})
    with pytest.raises(InvalidInput, match=r"^--wakes-max: expected a whole number >= 1, not 0$"):
        loaded(wakes_max=0)
    with pytest.raises(InvalidInput, match=r"^\$BY_CP_AGENTS is no JSON"):
        loaded(environment={"BY_CP_AGENTS": "{"})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Not there, a directory, or not UTF-8."""
    with pytest.raises(InvalidInput, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml", environment={}, flags={}, workers={})
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        load(tmp_path, environment={}, flags={}, workers={})
    (tmp_path / "latin.toml").write_bytes(b"url = '\xfc'")
    with pytest.raises(InvalidInput, match=r"latin\.toml is no TOML"):
        load(tmp_path / "latin.toml", environment={}, flags={}, workers={})


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            {"provider": "webhook", "url": "https://x", "secret_env": "NONE"},
            "agents.a: secret_env: $NONE is not set",
        ),
        (
            {"provider": "webhook", "url": "https://x", "secret_env": "BAD"},
            "agents.a: a webhook's secret is 'whsec_'",
        ),
        (
            {"provider": "webhook", "url": "ftp://x", "secret_env": "SECRET"},
            "agents.a: a webhook's url",
        ),
        (
            {"provider": "process", "command": ["a"], "warm_min": 2},
            "agents.a: warm_min 2 is not between 0 and 1",
        ),
    ],
)
def test_what_a_provider_does_not_accept_is_told_with_its_source(
    table: dict[str, Any], complaint: str
) -> None:
    """A secret is looked up in the environment, and is in no complaint."""
    found = loaded(environment={"BY_CP_AGENTS": json.dumps({"a": table})})
    environment = {"SECRET": new_secret(), "BAD": "sesame"}
    with pytest.raises(InvalidInput) as refusal:
        check_agents(found, environment)
    assert str(refusal.value).startswith("$BY_CP_AGENTS: " + complaint)
    assert "sesame" not in str(refusal.value)


async def test_each_agent_type_has_its_provider() -> None:
    """Processes, endpoints and programs side by side; a pattern is for the latter two."""
    tables = {
        "echo": {"provider": "process", "command": ["a"]},
        "report-*": {"provider": "webhook", "url": "https://x", "secret_env": "SECRET"},
        "night": {"provider": "command", "command": ["a"]},
    }
    found = loaded(environment={"BY_CP_AGENTS": json.dumps(tables)})
    environment = {"SECRET": f"{new_secret()} {new_secret()}"}
    check_agents(found, environment)

    async def backlog(_agent_type: str) -> int:
        return 0

    async with provider_of(found.settings, backlog, environment) as provider:
        assert isinstance(provider.provider_for("echo"), ProcessProvider)
        assert isinstance(provider.provider_for("report-7"), WebhookProvider)
        assert isinstance(provider.provider_for("night"), CommandProvider)
        assert provider.provider_for("nobody") is None

    tables = {"echo-*": tables["echo"]}
    found = loaded(environment={"BY_CP_AGENTS": json.dumps(tables)})
    with pytest.raises(InvalidInput, match="a pattern is for"):
        check_agents(found, environment)
