"""The log as lines of JSON, an event each; and such a file, read like a log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from by_cp.errors import InvalidInput
from by_cp.log.rawlog import PAGE, Page
from by_cp.replay.durations import Stamps
from by_cp.replay.fields import detail_of, event_of
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Event, tag_of
from by_cp.statemachine.position import BEGINNING, Position, split, time_ms

_STEP_BYTES = 64 * 1024


class Line(Struct, omit_defaults=True):
    """One line."""

    position: Position
    time: str
    event: str
    schema: int
    detail: msgspec.Raw
    """The event's own fields."""
    cause: str = ""
    execution_id: str | None = None
    """None: a system event."""
    version: int | None = None


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Line).decode


class JsonLines:
    """A file of lines that follows a log.

    Raises:
        InvalidInput: it cannot be opened, or is no such file.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = Stamps()
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error}") from error
        try:
            self.last_position = self._mended()
        except BaseException:
            self.close()
            raise

    def _mended(self) -> Position:
        """Cut a line that a crash left half written; return the position of the last whole one."""
        size = self._file.seek(0, os.SEEK_END)
        tail = b""
        while size and tail.count(b"\n") < 2:  # noqa: PLR2004 - the last line is between two
            step = min(size, _STEP_BYTES)
            size = self._file.seek(size - step)
            tail = self._file.read(step) + tail
        whole, _, rest = tail.rpartition(b"\n")
        if rest:
            self._file.truncate(self._file.seek(0, os.SEEK_END) - len(rest))
        self._file.seek(0, os.SEEK_END)
        last = whole.rpartition(b"\n")[2]
        return _read(last, self._path).position if last else BEGINNING

    def add(self, entries: Sequence[tuple[Position, Event]]) -> None:
        """Add the entries that follow.

        Raises:
            InvalidInput: they cannot be written.

        """
        lines = [_ENCODE(self._line(position, event)) for position, event in entries]
        try:
            self._file.write(b"\n".join((*lines, b"")))
        except OSError as error:
            raise InvalidInput(f"{self._path} cannot be written: {error}") from error
        self.last_position = entries[-1][0]

    def _line(self, position: Position, event: Any) -> Line:
        name, _, schema = tag_of(type(event)).rpartition("/")
        return Line(
            *(position, self._stamp(time_ms(position)), name, int(schema)),
            msgspec.Raw(detail_of(event)),
            event.cause,
            getattr(event, "execution_id", None),
            getattr(event, "version", None),
        )

    def finish(self) -> None:
        """Bring it to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesReader:
    """A file of lines, read like a log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pages(
        self, after: Position = BEGINNING, until: Position | None = None, count: int = PAGE
    ) -> Iterator[Page]:
        """Give the entries after a position, up to and with `until`, or else to the end.

        Raises:
            InvalidInput: a line is none that by-cp wrote.

        """
        begin, end = split(after), None if until is None else split(until)
        page: Page = []
        with self._path.open("rb") as file:
            for line in self._lines(file):
                at = split(line.position)
                if at <= begin:
                    continue
                if end is not None and at > end:
                    break
                page.append((line.position, CODEC.encode(_event(line))))
                if len(page) == count:
                    yield page
                    page = []
        if page:
            yield page

    def _lines(self, file: BinaryIO) -> Iterator[Line]:
        for text in file:
            if text.endswith(b"\n"):  # else it was left half written
                yield _read(text, self._path)


def _read(text: bytes, path: Path) -> Line:
    try:
        return _DECODE(text)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{path} is no export of a log: {error}") from error


def _event(line: Line) -> Event:
    common = {"execution_id": line.execution_id, "version": line.version, "cause": line.cause}
    return event_of(f"{line.event}/{line.schema}", common | msgspec.json.decode(line.detail))
