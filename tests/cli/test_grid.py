"""A table: what is short stands side by side, what is long below, and nothing is cut off."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from by_cp.cli.grid import Column
from by_cp.cli.tables import table

COLUMNS = (
    Column("Execution", whole=True),
    Column("Agent type", long=True),
    Column("Held", right=True),
    Column("Reason", long=True),
)
ID = "exec-019d7a3b6c48000000000000ab"


def _shown(width: int, *rows: tuple[str | int, ...]) -> list[str]:
    """Print a table in a terminal of some width; its lines."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    with console.capture() as output:
        console.print(table(COLUMNS, rows))
    return output.get().splitlines()


def test_what_is_short_stands_side_by_side() -> None:
    """Numbers to the right; what is empty is a dash; no line ends in white space."""
    assert _shown(80, ("e-1", "echo", 7, "late"), ("e-2", "", 1_000, "")) == [
        "Execution  Agent type   Held  Reason",
        "────────────────────────────────────",
        "e-1        echo            7  late",
        "e-2        -           1,000  -",
    ]


def test_what_is_too_long_stands_below_its_row() -> None:
    """With its title, and only where there is something to say."""
    reason = "no worker came online within 30 s, and the provider said no more about it"
    lines = _shown(80, (ID, "echo", 7, reason), (ID, "echo", 8, ""))
    assert lines[2:] == [
        f"{ID}  echo           7",
        "    reason: no worker came online within 30 s, and the provider said no more",
        "    about it",
        f"{ID}  echo           8",
    ]


def test_no_column_is_so_narrow_that_words_fall_apart() -> None:
    """A name of eight characters is not folded into four and four: it stands below."""
    assert _shown(50, (ID, "reviewer", 1_000_000, "late"))[2:] == [
        f"{ID}  1,000,000",
        "    agent type: reviewer",
        "    reason: late",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 400])
def test_nothing_is_cut_off(width: int) -> None:
    """However narrow the terminal, and whatever is in the cells."""
    row = (ID, "要約エージェント" * 5, 12_345_678, "[red]x[/] " * 40)
    lines = _shown(width, row, (ID[:-1] + "c", "e" * 60, 1, ""))
    text = "".join("".join(lines).split())
    for cell in ("e" * 60, "要約エージェント" * 5, "12,345,678", "[red]x[/]" * 40):
        assert all(text.count(character) >= cell.count(character) for character in cell)
    if width >= 60:
        assert max(map(cell_len, lines)) <= width
        assert any(ID in line for line in lines)
