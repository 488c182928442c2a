"""What a child process may use. The kernel holds it to that, each process for itself."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from by_cp.errors import InvalidInput
from by_cp.names import check_int

CPU_GRACE_S = 5
"""A process over its CPU time gets SIGXCPU, and, so many seconds of CPU later, SIGKILL."""

VALUE_MAX = 2**62


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one process; what it starts in turn has the same ones, each for itself.

    Attributes:
        memory_bytes: what it may allocate (RLIMIT_DATA: heap, stacks of threads, private writable
            mappings; not files or memory that it shares). An allocation beyond fails: in Python it
            is a MemoryError.
        cpu_s: how much CPU time it may use in its whole life, in seconds.
        open_files: how many files and sockets it may have open.

    Raises:
        InvalidInput: a limit is no positive int, or over what this process may give.

    """

    memory_bytes: int | None = None
    cpu_s: int | None = None
    open_files: int | None = None

    def __post_init__(self) -> None:
        """Check the limits here, where somebody reads the error."""
        for name, (kind, value) in self._given().items():
            check_int(name, value, low=1, high=VALUE_MAX)
            hard = resource.getrlimit(kind)[1]
            if hard != resource.RLIM_INFINITY and value > hard:
                raise InvalidInput(
                    f"the limit {name} {value:,} is over what this process may give, {hard:,} "
                    "(see `ulimit -H`)"
                )

    def _given(self) -> dict[str, tuple[int, int]]:
        every = {
            "memory_bytes": (resource.RLIMIT_DATA, self.memory_bytes),
            "cpu_s": (resource.RLIMIT_CPU, self.cpu_s),
            "open_files": (resource.RLIMIT_NOFILE, self.open_files),
        }
        return {name: (kind, value) for name, (kind, value) in every.items() if value is not None}

    def rlimits(self) -> list[tuple[int, int, int]]:
        """Return resource, soft limit and hard limit of each, for `resource.setrlimit`."""
        limits = []
        for kind, soft in self._given().values():
            hard = resource.getrlimit(kind)[1]
            grace = CPU_GRACE_S if kind == resource.RLIMIT_CPU else 0
            over = soft + grace
            limits.append((kind, soft, over if hard == resource.RLIM_INFINITY else min(over, hard)))
        return limits


UNLIMITED = Limits()
