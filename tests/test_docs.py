"""The docs are run: what they show must work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from by_cp.replay.archive.format import BLOCK_HEADER, HEADER
from tests.replay.archive.segments import segment

DOCS = Path(__file__).parents[1] / "docs"


def example(page: str, name: str) -> str:
    """Return an example of a page, by the name after `test=`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^ *```\w+ test={name}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
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


def test_a_segment_can_be_read_without_by_cp() -> None:
    """The page on the archive says all that it takes."""
    names: dict[str, Any] = {}
    exec(example("archive.md", "reads-a-segment"), names)  # noqa: S102 - it is our own
    pages = [[("1-0", b"one"), ("1-1", b"two")], [("2-0", b"three")]]
    assert names["entries"](segment(pages)) == [entry for page in pages for entry in page]


def test_the_archives_format_is_the_one_that_is_described() -> None:
    """Each table's fields follow one another, and are as many bytes as are written."""
    text = (DOCS / "archive.md").read_text(encoding="utf-8")
    for table, size in (("header", HEADER.size), ("block", BLOCK_HEADER.size)):
        rows = text.partition(f"| {table}: offset |")[2].partition("\n\n")[0]
        found = re.findall(r"^\| (\d+) \| (\d+) \|", rows, re.MULTILINE)
        at = 0
        for offset, length in found:
            assert int(offset) == at
            at += int(length)
        assert at == size


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in DOCS.glob("*.md"))])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """A relative link names a file that is there."""
    path = DOCS.parent / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
