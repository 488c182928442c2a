"""What can be wrong with an archive, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from by_cp.errors import ByCpError


class Fault(Struct, frozen=True):
    """One thing that is wrong with a file of an archive, and where."""

    file: str
    offset: int
    """The first byte that is wrong, or may be."""
    length: int
    """How many bytes may be: 1 when the one byte is known, 0 when bytes are missing."""
    what: str

    def __str__(self) -> str:
        """Return it in one line."""
        where = f"byte {self.offset}"
        if self.length > 1:
            where = f"bytes {self.offset} to {self.offset + self.length - 1}"
        return f"{self.file}: {where}: {self.what}"


class ArchiveError(ByCpError):
    """An archive cannot be used so. Nothing was changed."""


class ArchiveInUse(ArchiveError):
    """Another process writes to the archive. Wait for it, or end it."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        by = f"the process {pid}" if pid else "another process"
        super().__init__(
            f"{by} works on the archive in {str(directory)!r}; try again when it ended"
        )
        self.pid = pid


class ArchiveDamaged(ArchiveError):
    """A file of an archive is not as it was written. Bring it back from a copy."""

    def __init__(self, faults: list[Fault]) -> None:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        super().__init__(f"{faults[0]}{more}; bring the file back from a copy")
        self.faults = faults


class ArchiveMismatch(ArchiveError):
    """An archive and a server's log are not of one piece. Look whether both are the right ones."""
