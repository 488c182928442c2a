"""`by-cp manager`, as a person or a script runs it: its settings, and what it says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from by_cp.manager.config import Settings, settings_of
from by_cp.manager.loading import flag

MANAGER = (sys.executable, "-m", "by_cp.cli", "manager")

FILE = """
url = "redis://user:sesame@localhost:6379/0"
wakes_max = 3

[agents."a b"]
provider = "process"
command = ["run", "it's \\"quoted\\"", "\\\\ \\u007f"]
env.TOKEN = "sesame"
"""

AGENT = '[agents.a]\nprovider = "process"\ncommand = ["a"]\n'


def manager(*flags: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    environment = {**os.environ, "COLUMNS": "80", **variables}
    done = subprocess.run(
        [*MANAGER, *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def in_file(directory: Path, text: str = FILE) -> str:
    """A file with this text."""
    file = directory / "by-cp.toml"
    file.write_text(text)
    return str(file)


def test_help_has_a_flag_for_each_setting() -> None:
    """Every setting can be given as a flag, and the help fits into a terminal."""
    text = manager("--help").stdout
    for setting in settings_of(Settings):
        assert f" {flag(setting.name)} " in text
    assert "Exit codes" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_check_prints_the_effective_settings(tmp_path: Path) -> None:
    """What is printed is TOML that says the same, each setting with its source, no secret."""
    file = in_file(tmp_path)
    text = manager("--check", "--config", file, "--log-level", "debug", BY_CP_WAKES_MAX="7").stdout
    assert f'url = "redis://user:***@localhost:6379/0"  # {file}' in text
    assert "wakes_max = 7  # $BY_CP_WAKES_MAX" in text
    assert 'log_level = "debug"  # --log-level' in text
    assert "attempts_max = 3  # default" in text
    assert "# health_port =  # default" in text
    shown: dict[str, Any] = tomllib.loads(text)
    given = tomllib.loads(FILE)["agents"]["a b"]
    assert shown["agents"]["a b"] == {**shown["agents"]["a b"], **given, "env": {"TOKEN": "***"}}
    assert "sesame" not in text
    again = manager("--check", "--config", in_file(tmp_path, text)).stdout
    assert tomllib.loads(again) == shown


@pytest.mark.parametrize(
    ("flags", "text", "complaint"),
    [
        ((), "wake_max = 3", "wake_max is no setting; is wakes_max meant?"),
        ((), 'url = "nonsense"', "'nonsense' is no URL of a server"),
        ((), AGENT + "warm_min = 2", "by-cp.toml: agents.a: warm_min 2 is not between 0 and 1"),
        (("--wakes-max", "0"), "", "--wakes-max: expected a whole number >= 1, not 0"),
        (("--worker", "a=b 'c"), "", '--worker "a=b \'c" cannot be read: No closing quotation'),
    ],
)
@pytest.mark.parametrize("check", [("--check",), ()])
def test_a_bad_setting_is_one_line_and_starts_nothing(
    check: tuple[str, ...], flags: tuple[str, ...], text: str, complaint: str, tmp_path: Path
) -> None:
    """With `--check` and without: exit code 1, and the complaint alone."""
    done = manager(*check, *flags, "--config", in_file(tmp_path, text), code=1)
    assert done.stdout == ""
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
