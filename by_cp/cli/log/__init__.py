"""`by-cp log`: the log as a whole: archived, verified, restored."""

from __future__ import annotations

from cyclopts import App

from by_cp.cli.log.archive import archive
from by_cp.cli.log.restore import restore
from by_cp.cli.log.verify import verify

log = App(name="log", help="Archive the log, verify an archive, restore it.")
for _command in (archive, verify, restore):
    log.command(_command)
