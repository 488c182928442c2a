"""`by-cp log export`: the log as a file for other tools."""

from __future__ import annotations

import json
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

from cyclopts import Parameter

from by_cp.cli.interruption import told_if_interrupted
from by_cp.cli.log.printing import show, show_json
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, server_url
from by_cp.errors import InvalidInput
from by_cp.log.rawlog import without_gc
from by_cp.replay.opening import open_source
from by_cp.replay.sources import Entry
from by_cp.statemachine.position import BEGINNING, Position, split


class Format(StrEnum):
    """What the file is."""

    SQLITE = "sqlite"
    JSONL = "jsonl"
    TRACE = "trace"


_SUFFIXES = {
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), Format.SQLITE),
    **dict.fromkeys((".jsonl", ".ndjson"), Format.JSONL),
    ".json": Format.TRACE,
}


class Target(Protocol):
    """A file that follows a log."""

    last_position: Position

    def add(self, entries: list[Entry]) -> None:
        """Add the entries that follow."""
        ...

    def finish(self) -> None:
        """Make it ready for those who read it."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def export(
    file: Path,
    *,
    format: Format | None = None,  # noqa: A002 - so is the flag called
    datasette: Path | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    archive: str | None = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Export the log into a file: SQLite, lines of JSON, or a trace.

    The file's suffix says which: .db, .sqlite; .jsonl; .json is a trace, for Chrome and Perfetto.
    The next export into the same SQLite file, or file of lines, adds what is new, however the last
    one ended. A trace is written anew.

    Example: `by-cp log export log.db`

    Exit codes: 0 done; 1 an error; 2 wrong usage; 130 interrupted.

    Args:
        file: The file; made if it is not there.
        format: What the file is, if its suffix does not say so.
        datasette: Write metadata for Datasette here: what columns mean, and ready questions.
        from_: Read an archive's directory, or an earlier export, instead of a server.
        archive: The archive that has what the server no longer has.
        as_json: Print one JSON document.
        url: The server.

    """
    kind = format or _SUFFIXES.get(file.suffix.lower())
    if kind is None:
        raise InvalidInput(f"{file}: name it .db, .jsonl or .json (a trace), or give --format")
    if datasette and kind != Format.SQLITE:
        raise InvalidInput("--datasette is for an export into SQLite")
    exported, last = 0, BEGINNING

    def interrupted() -> str:
        if kind == Format.TRACE:
            return f"{file} was not written"
        return f"at least {exported:,} events were added to {file}; the next run adds the rest"

    with (
        told_if_interrupted(interrupted),
        closing(open_source(server_url(url), from_, archive)) as source,
        closing(_target(kind, file)) as to,
        without_gc(),
        progress("exporting", None, "events", shown=not as_json) as advance,
    ):
        for entries in source.entries(to.last_position):
            to.add(entries)
            exported, last = exported + len(entries), entries[-1][0]
            advance(len(entries))
        to.finish()
        last = max(last, to.last_position, key=split)
    if datasette:
        _write_metadata(datasette, file)
    if as_json:
        show_json({"exported": exported, "last": "" if last == BEGINNING else last})
    else:
        upto = "" if last == BEGINNING else f", up to {last}"
        show([("exported", f"{exported:,} events into {file}{upto}")])
    return 0


def _target(kind: Format, file: Path) -> Target:
    """Open the file. What each is made with is loaded only when it is asked for."""
    match kind:
        case Format.SQLITE:
            from by_cp.replay.sqlite.export import Export

            return Export(file)
        case Format.JSONL:
            from by_cp.replay.jsonl import JsonLines

            return JsonLines(file)
        case Format.TRACE:
            from by_cp.replay.trace import Trace

            return Trace(file)


def _write_metadata(path: Path, file: Path) -> None:
    from by_cp.replay.sqlite.datasette import metadata

    try:
        path.write_text(json.dumps(metadata(file.stem), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
