"""Snapshots: the views at a position, in a file, so that a fold need not begin at the beginning.

The file is one msgpack map: what it is, the position, a checksum, and the rows, in the order of
their keys. The same log gives the same bytes, wherever and however it is folded. The shape of the
rows has a fingerprint: a release in which they look otherwise refuses the file. Then it is made
anew from the log, which is the truth; a snapshot never is.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from by_cp.errors import ByCpError
from by_cp.projections.views import Views
from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position

FORMAT = "by-cp snapshot 1"

SUFFIX = ".snapshot"
"""Of the files that are looked for where a directory has many."""


class SnapshotUnusable(ByCpError):
    """A file is no snapshot, or damaged, or of another release or log. Make it anew."""


class Snapshot(Struct):
    """The views at a position of a log."""

    views: Views
    position: Position
    events: int
    """How many were folded into them."""
    anchor: bytes
    """SHA-256 of the entry at the position, by which the log is known again."""


class _File(Struct):
    format: str
    rows: str
    position: str
    events: int
    anchor: bytes
    sha256: bytes
    body: bytes


class _Begin(Struct):
    position: str


_DICTS: dict[str, Any] = get_type_hints(Views)
_BODY: Any = tuple[tuple(list[tuple[get_args(hint)]] for hint in _DICTS.values())]  # type: ignore[misc]
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_BODY)
_FILES = msgspec.msgpack.Decoder(_File)
_BEGINS = msgspec.msgpack.Decoder(_Begin)


def shape() -> str:
    """Return the fingerprint of the rows: it changes when a view, a row or a field does."""
    structs = [Call, *(get_args(hint)[1] for hint in _DICTS.values())]
    told = [*_DICTS]
    for struct in structs:
        told += [f"{one.name}: {one.type}" for one in msgspec.structs.fields(struct)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def encoded(views: Views) -> bytes:
    """Return views as bytes; equal views give equal bytes."""
    return _ENCODER.encode([sorted(getattr(views, name).items()) for name in _DICTS])


def digest(views: Views) -> str:
    """Return a hash of views, to compare two of them by."""
    return hashlib.sha256(encoded(views)).hexdigest()


def write(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot, whole or not at all.

    Raises:
        SnapshotUnusable: it cannot be written there.

    """
    body = encoded(snapshot.views)
    said = (FORMAT, shape(), snapshot.position, snapshot.events, snapshot.anchor)
    file = _File(*said, _checksum(*said, body), body)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
            try:
                out.write(_ENCODER.encode(file))
                out.flush()
                os.fsync(out.fileno())
                Path(out.name).replace(path)
            except BaseException:
                Path(out.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SnapshotUnusable(f"{path} cannot be written: {error}") from error


def _checksum(*said: str | int | bytes) -> bytes:
    return hashlib.sha256(_ENCODER.encode(said)).digest()


def read(path: Path) -> Snapshot:
    """Read a snapshot.

    Raises:
        SnapshotUnusable: it is none, or damaged, or of a release whose rows look otherwise.

    """
    try:
        file = _FILES.decode(path.read_bytes())
    except OSError as error:
        raise SnapshotUnusable(f"{path} cannot be read: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotUnusable(f"{path} is no snapshot, or damaged: {error}") from error
    if file.format != FORMAT or file.rows != shape():
        raise SnapshotUnusable(f"{path} was made by another release: make it anew")
    said = (file.format, file.rows, file.position, file.events, file.anchor)
    if _checksum(*said, file.body) != file.sha256:
        raise SnapshotUnusable(f"{path} is damaged: its checksum is wrong; make it anew")
    dicts = (dict(items) for items in _DECODER.decode(file.body))
    return Snapshot(Views(*dicts), file.position, file.events, file.anchor)


def position_of(path: Path) -> Position:
    """Return the position that a file says it is of, without reading all of it.

    Raises:
        SnapshotUnusable: it is no snapshot.

    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _BEGINS.decode(data).position
    except OSError as error:
        raise SnapshotUnusable(f"{path} cannot be read: {error}") from error
    except (ValueError, msgspec.DecodeError) as error:  # one of no bytes cannot be mapped
        raise SnapshotUnusable(f"{path} is no snapshot, or damaged: {error}") from error


def named(position: Position, path: Path) -> Path:
    """Return where a snapshot is written: in a directory under its position, else just there."""
    return path / f"{position}{SUFFIX}" if path.is_dir() else path


def anchor_of(entry: bytes) -> bytes:
    """Return what a snapshot remembers of the entry at its position."""
    return hashlib.sha256(entry).digest()
