"""`by-cp views`: the live rows compared with the log, and put right."""

from __future__ import annotations

from cyclopts import App

from by_cp.cli.running import help_of_group
from by_cp.cli.views.rebuild import rebuild
from by_cp.cli.views.snapshot import snapshot
from by_cp.cli.views.verify import verify

views = App(
    name="views",
    help=help_of_group(
        "Compare the live rows with the log, and put right what differs.", "views verify"
    ),
)
for _command in (verify, rebuild, snapshot):
    views.command(_command)
