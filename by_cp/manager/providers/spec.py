"""What the process provider is told of one agent type's workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from by_cp.errors import InvalidInput
from by_cp.limits import UNLIMITED, Limits
from by_cp.manager.providers.output import CHUNK_BYTES
from by_cp.names import check_int

PROCESSES_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """How the workers of one agent type are started, how many of them, and for how long.

    Attributes:
        command: program and arguments of a worker.
        processes_max: at most so many run at once, here; each manager has its own. More than one is
            started only if the provider is told of the backlog.
        backlog_per_process: one process for each so many commands that wait.
        warm_min: so many run all the time, whether there is work or not.
        idle_exit_s: a worker that has had no work for so many seconds shall end, in order; None is
            never. The worker must do that by itself: `by-cp worker` does, it finds this in its
            environment as BY_CP_IDLE_EXIT_S. The warm ones are not told to.
        env: more environment for the workers.
        directory: where they run; None is where the manager does.
        limits: what each of them may use.
        log_bytes_max: a log file has at most so many bytes; the one before it is kept, too.

    Raises:
        InvalidInput: the command is empty or no sequence of texts, or a number is out of bounds.

    """

    command: Sequence[str]
    processes_max: int = 1
    backlog_per_process: int = 16
    warm_min: int = 0
    idle_exit_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    limits: Limits = UNLIMITED
    log_bytes_max: int = 10 * 1024 * 1024

    def __post_init__(self) -> None:
        """Check it here, where somebody reads the error."""
        check_command(self.command)
        check_int("processes_max", self.processes_max, low=1, high=PROCESSES_MAX)
        check_int("backlog_per_process", self.backlog_per_process, low=1, high=1_000_000)
        check_int("warm_min", self.warm_min, low=0, high=self.processes_max)
        check_int("log_bytes_max", self.log_bytes_max, low=CHUNK_BYTES, high=2**40)
        if self.idle_exit_s is not None and not self.idle_exit_s > 0:
            raise InvalidInput(f"idle_exit_s must be over 0, not {self.idle_exit_s!r}")


def check_command(command: object) -> None:
    """Check that it is a program and its arguments.

    Raises:
        InvalidInput: it is not.

    """
    if (
        isinstance(command, str)
        or not isinstance(command, Sequence)
        or not command
        or not all(isinstance(part, str) and "\0" not in part for part in command)
    ):
        raise InvalidInput(
            "a command must be a program and its arguments, "
            f'as in ["by-cp", "worker"], not {command!r}'
        )
