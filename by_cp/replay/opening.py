"""Which source is meant: a server, or a file or directory that has a log in it.

What a source needs is imported when it is meant: to import all takes longer than most histories.
"""

from __future__ import annotations

from pathlib import Path

from by_cp.errors import InvalidInput
from by_cp.replay.sources import PagesSource, Progress, ServerSource, Source

_SQLITE = b"SQLite format 3\0"
_JSON_LINES = b'{"position":'


def open_source(
    url: str, path: str | None, archive: str | None = None, progress: Progress | None = None
) -> Source:
    """Open the file or the archive at a path, if one is given, or else connect to the server.

    Raises:
        InvalidInput: nothing of by-cp's is there, or the URL is none.
        ServerUnreachable: nobody answers there.

    """
    if path is None:
        return ServerSource(url, archive, progress)
    return open_file(Path(path), progress)


def open_file(path: Path, progress: Progress | None = None) -> Source:
    """Open an export, or an archive.

    Raises:
        InvalidInput: it is neither.

    """
    if path.is_dir():
        from by_cp.replay.archive.reading import ArchiveReader

        return PagesSource(lambda: ArchiveReader(path), progress)
    try:
        with path.open("rb") as file:
            begin = file.read(len(_SQLITE))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    if begin == _SQLITE:
        from by_cp.replay.sqlite.reading import SqliteSource

        return SqliteSource(path)
    if begin.startswith(_JSON_LINES):
        from by_cp.replay.jsonl import JsonLinesReader

        return PagesSource(lambda: JsonLinesReader(path), progress)
    raise InvalidInput(
        f"{path} is neither an export of a log (SQLite or JSON lines) nor the directory of an "
        "archive"
    )
