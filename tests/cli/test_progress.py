"""The bar of long work, on a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.cli.terminal import all_of

INTERRUPTED_AT_ITS_START = """
import signal
from rich.live import Live
from by_cp.cli.progress import progress

drawn = Live.refresh

def interrupted(self):
    drawn(self)
    signal.raise_signal(signal.SIGINT)

Live.refresh = interrupted
try:
    with progress("folding", 3, "events"):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""

HIDES, SHOWS = b"\x1b[?25l", b"\x1b[?25h"


def test_ctrl_c_while_the_bar_starts_gives_the_cursor_back() -> None:
    """At the worst moment: when it is hidden, and nothing else has been done."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        (sys.executable, "-c", INTERRUPTED_AT_ITS_START),
        env={**os.environ, "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = all_of(mine)
    assert process.wait(30) == 0
    assert b"interrupted" in shown
    assert 0 <= shown.rindex(HIDES) < shown.rindex(SHOWS)
