"""`by-cp log`: the log as a whole: exported, archived, verified, restored."""

from __future__ import annotations

from cyclopts import App

from by_cp.cli.log.archive import archive
from by_cp.cli.log.export import export
from by_cp.cli.log.restore import restore
from by_cp.cli.log.verify import verify
from by_cp.cli.running import help_of_group

log = App(
    name="log",
    help=help_of_group("Export, archive and restore the log.", "log export log.db"),
)
for _command in (export, archive, verify, restore):
    log.command(_command)
