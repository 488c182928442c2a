"""A command in a real terminal of 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

WIDTH, HEIGHT = 80, 50
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(url: str, *arguments: str, module: str = "by_cp.cli") -> tuple[int, str, str]:
    """Run a command: its exit code, what the terminal shows without colours, and its errors."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        (sys.executable, "-m", module, *arguments),
        env={**environment, "BY_CP_URL": url, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    shown = all_of(mine)
    _, errors = process.communicate(timeout=60)
    text = _STYLE.sub("", shown.decode()).replace("\r\n", "\n")
    assert "\x1b" not in text
    return process.returncode, text, errors


def all_of(terminal: int) -> bytes:
    """Return what is shown until whoever writes there is gone, which Linux tells by an error."""
    shown = b""
    with open(terminal, "rb", buffering=0) as file:
        while True:
            try:
                some = file.read(65536)
            except OSError:
                return shown
            if not some:
                return shown
            shown += some
