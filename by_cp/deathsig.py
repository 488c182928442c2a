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

# Between fork and exec only what is safe after a fork may run, and Python is not (preexec_fn). So a
# second, tiny Python asks for the signal and becomes the program. A parent that died before the
# question is noticed by its pid. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
_STUB: Final = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that asked for this one is gone")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """Return the command, to be started by this very process, so that it dies with it.

    What cannot be started exits with code 127 (not found) or 126, as in a shell.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _STUB, str(os.getpid()), *command]
