"""Looking at processes."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int) -> bool:
    """Tell whether the process is there and not only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def marked(mark: str) -> set[int]:
    """The processes that run with this text in their environment.

    One that is just being replaced by its program shows no environment for a moment: what is to be
    there is waited for.
    """
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            there = mark.encode() in environ.read_bytes()
        except OSError:
            continue
        if there and runs(int(environ.parent.name)):
            found.add(int(environ.parent.name))
    return found
