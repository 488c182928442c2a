"""Lines of styled text for a terminal.

`by-replay` answers within the time in which rich's console is imported, so it paints for itself;
of rich it has only how wide a character is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TextIO

Span = tuple[str, str]
"""A text and its style: a colour, `bold`, `dim`, or several of them with spaces between."""

Line = list[Span]

_CODES = {
    "bold": "1",
    "dim": "2",
    "underline": "4",
    "reverse": "7",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_UNITS = frozenset({"ms", "s", "min", "h", "d", "bytes"})

WIDTH_MIN, WIDTH_DEFAULT = 40, 80


def width_of_terminal() -> int:
    """Return how many columns there are: of the terminal, of $COLUMNS, or 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return max(int(columns), WIDTH_MIN)
    try:
        return max(os.get_terminal_size(1).columns, WIDTH_MIN)
    except (OSError, ValueError):  # it is no terminal
        return WIDTH_DEFAULT


def has_colours(stream: TextIO) -> bool:
    """Tell whether to paint: on a terminal, unless $NO_COLOR says no or $FORCE_COLOR yes."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def write(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines, painted if the stream has colours."""
    colours = has_colours(stream)
    stream.writelines(painted(line, colours=colours) + "\n" for line in lines)


def painted(line: Line, *, colours: bool) -> str:
    """Return a line as text, without spaces at its end."""
    if not colours:
        return "".join(text for text, _ in line).rstrip()
    return "".join(_painted(text, style) for text, style in line).rstrip()


def _painted(text: str, style: str) -> str:
    codes = ";".join(_CODES[name] for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text.strip() else text


def padded(text: str, width: int) -> str:
    """Return a text with spaces up to a width in cells."""
    return text + " " * max(width - cell_len(text), 0)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield a text in lines of so many cells at most, broken at spaces where there are any.

    A number and its unit stay together.
    """
    line = ""
    for word in _words(text):
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        *full, line = _chopped(word, width)
        yield from full
    yield line


def _words(text: str) -> Iterator[str]:
    """Yield what no line is broken in: words, a number with its unit."""
    words = text.split(" ")
    before = words[0]
    for word in words[1:]:
        if before[-1:].isdigit() and word.rstrip(";,.") in _UNITS:
            before = f"{before} {word}"
        else:
            yield before
            before = word
    yield before


def cell_len(text: str) -> int:
    """Return how wide a text is in a terminal. Only a text that is not ASCII needs a table."""
    if text.isascii():
        return len(text)
    from rich import cells

    return cells.cell_len(text)


def _chopped(word: str, width: int) -> list[str]:
    if word.isascii():
        return [word[begin : begin + width] for begin in range(0, len(word), width)] or [""]
    from rich import cells

    return cells.chop_cells(word, width)
