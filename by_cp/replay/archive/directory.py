"""The directory of an archive: its names, its lock, and writing so that a crash leaves no half.

A file is written under a temporary name, synced, renamed, and the directory synced: after a crash
at any moment it is there whole, or not at all. Only one process writes; any number may read
meanwhile, because what is there never changes.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from by_cp.replay.archive.errors import ArchiveError, ArchiveInUse

MANIFEST = "manifest.jsonl"
LOCK = "archive.lock"

_SEGMENT = re.compile(r"segment-(\d{8,})\.bycp")
_TEMPORARY = ".part"


def segment_name(number: int) -> str:
    """Return the name of a segment's file."""
    return f"segment-{number:08d}.bycp"


def segment_numbers(directory: Path) -> list[int]:
    """Return the numbers of the segments that are there, in order.

    Raises:
        ArchiveError: there is no such directory.

    """
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise ArchiveError(f"no archive in {str(directory)!r}: {error.strerror}") from error
    matches = (_SEGMENT.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def read_whole(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ArchiveError: it cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def sync_directory(directory: Path) -> None:
    """Make what was renamed in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path, *, make: bool = True) -> Iterator[None]:
    """Be the only one who writes into a directory, which is made if it is not there.

    The lock ends with the process, however that ends.

    Raises:
        ArchiveInUse: another process writes there.
        ArchiveError: the directory cannot be made or written to.

    """
    try:
        if make:
            _make(directory)
        lock = open(directory / LOCK, "a+b", buffering=0, opener=_private)  # noqa: SIM115 - closed below
    except OSError as error:
        raise ArchiveError(
            f"no archive can be written into {str(directory)!r}: {error.strerror}"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveInUse(directory, _pid_in(lock)) from error
        lock.truncate(0)
        lock.write(b"%d\n" % os.getpid())
        for left in directory.glob(f"*{_TEMPORARY}"):
            left.unlink()  # of a process that was killed
        yield


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write into, which gets its name once it is whole and on the disk.

    Raises:
        ArchiveError: it cannot be written; nothing is left of it.

    """
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        with open(temporary, "w+b", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise ArchiveError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _make(directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # commands are nobody else's business
    for path in missing:
        sync_directory(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _pid_in(lock: BinaryIO) -> int | None:
    lock.seek(0)
    text = lock.read(20).strip()
    return int(text) if text.isdigit() else None
