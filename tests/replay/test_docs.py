"""The pages on histories and exports show what the commands print."""

from __future__ import annotations

import re

import pytest

from by_cp.projections.views import Views
from by_cp.replay.command import _parser
from by_cp.replay.sqlite.datasette import FAILED
from tests.replay.example import DOCS, PAGES, up_to_date

REPLAY, EXPORT = ((DOCS / name).read_text(encoding="utf-8") for name in ("replay.md", "export.md"))


@pytest.mark.parametrize("name", PAGES)
def test_every_example_prints_what_the_page_shows(name: str) -> None:
    """If not: `python -m tests.replay.example` brings the page up to date."""
    page = (DOCS / name).read_text(encoding="utf-8")
    assert up_to_date(page) == page


def test_every_option_is_explained() -> None:
    """Whatever `by-replay --help` names, the page names, too."""
    options = {option for action in _parser()._actions for option in action.option_strings}
    for option in options - {"-h", "--help", "--version"}:
        assert f"`{option}" in REPLAY, option


def test_the_documented_query_is_the_one_that_is_tested() -> None:
    """Which executions failed yesterday, and why."""
    found = re.search(r"```sql query=failed\n(.*?)\n```", EXPORT, re.DOTALL)
    assert found
    assert found[1] == FAILED


def test_every_table_is_explained() -> None:
    """The views, each by its name."""
    table = EXPORT.partition("## Ask questions")[2].partition("## Look")[0]
    assert set(re.findall(r"`(\w+)`", table)) >= {*Views.__struct_fields__, "events", "events_fts"}
