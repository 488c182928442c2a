"""Child processes that die with the process that started them, even if that was killed.

On Linux the kernel kills a child when its parent dies, if the child asks for it
(PR_SET_PDEATHSIG). The kernel takes the death of the *thread* that started the child for the
parent's, so start such a child in a thread that lives as long as the child shall. Elsewhere there
is no such signal: there a child whose parent was killed lives on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from by_cp.limits import UNLIMITED, Limits

# Between fork and exec only what is safe after a fork may run, and Python is not (preexec_fn). So a
# second, tiny Python asks for the signal, limits itself and becomes the program. A parent that died
# before the question is noticed by its pid. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
_STUB: Final = """\
import os, sys
parent, limits, *command = sys.argv[1:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the process that asked for this one is gone")
if limits:
    import resource
    for limit in limits.split():
        kind, soft, hard = map(int, limit.split(":"))
        resource.setrlimit(kind, (soft, hard))
try:
    os.execvp(command[0], command)
except OSError as error:
    print(f"{command[0]}: {error.strerror}", file=sys.stderr)
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


def dying_with_parent(command: Sequence[str], limits: Limits = UNLIMITED) -> list[str]:
    """Return the command, to be started by this very process, so that it dies with it.

    What cannot be started exits with code 127 (not found) or 126, as in a shell.

    Args:
        command: a program and its arguments.
        limits: what it may use.

    """
    given = " ".join(f"{kind}:{soft}:{hard}" for kind, soft, hard in limits.rlimits())
    return [sys.executable, "-I", "-S", "-c", _STUB, str(os.getpid()), given, *command]
