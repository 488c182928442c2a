"""The page on operation says what is: every setting, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from by_cp.cli.worker import AGENT_TYPE_VARIABLE
from by_cp.manager.config import PROVIDERS, Settings, settings_of
from by_cp.manager.loading import AGENTS_VARIABLE, CONFIG_VARIABLE, flag, load, variable
from by_cp.manager.providers.pool import IDLE_EXIT_VARIABLE
from by_cp.manager.reference import table
from by_cp.manager.wiring import check_agents
from by_cp.webhooks import new_secret

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
NAMES = [setting.name for setting in settings_of(Settings)]


def test_every_setting_is_explained() -> None:
    """With its type, its default and its bounds, as `python -m by_cp.manager.reference` has it."""
    assert table(Settings) in PAGE


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_key_of_an_agents_table_is_explained(provider: str) -> None:
    """The same for what each kind of provider is told."""
    section = PAGE.partition(f'### `provider = "{provider}"`\n')[2].partition("\n## ")[0]
    assert table(PROVIDERS[provider]) in section


def test_the_example_file_is_accepted(tmp_path: Path) -> None:
    """Whoever copies it has something that works."""
    found = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        check_agents(
            load(file, environment={}, flags={}, workers={}), {"SCALER_SECRET": new_secret()}
        )
    assert found


def test_only_variables_and_flags_that_exist_are_named() -> None:
    """A renamed setting is renamed in the examples, too."""
    variables = {*map(variable, NAMES), AGENTS_VARIABLE, CONFIG_VARIABLE}
    variables |= {AGENT_TYPE_VARIABLE, IDLE_EXIT_VARIABLE}
    assert set(re.findall(r"\bBY_CP_[A-Z_]+", PAGE)) <= variables
    flags = {*map(flag, NAMES), "--config", "--check", "--worker", "--handler"}
    assert set(re.findall(r"(?<=[\s`])--[a-z][a-z-]+", PAGE)) <= flags


def test_only_events_that_are_logged_are_named() -> None:
    """What somebody searches the log for is in it."""
    logged = set()
    for source in (ROOT / "by_cp").rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        logged |= set(re.findall(r'log\.\w+\(\s*"(?:event=)?(\w+)', text))
    section = PAGE.partition("\n## Logs\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = {event for row in rows for event in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named
    assert named <= logged
