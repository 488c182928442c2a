"""The docs are run: what they show must work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def example(page: str, name: str) -> str:
    """Return an example of a page, by the name after `test=`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^```python test={name}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no example {name}"
    return found[1]


def test_a_users_test_finds_the_fault_in_its_provider() -> None:
    """Twenty lines that extend the machine with a faulty provider fail, and say why."""
    source = example("testing.md", "finds-the-fault")
    body = source[source.index("class ") : source.index("run_state")]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20
    names: dict[str, Any] = {"__name__": "example"}
    with pytest.raises(AssertionError, match="READY, and nobody is there"):
        exec(source, names)  # noqa: S102 - it is our own


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """A relative link names a file that is there."""
    path = DOCS.parent / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
