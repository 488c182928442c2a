"""`by-cp`: assembles the commands, and turns whatever happens into an exit code.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 3 rejected (`send`);
130 interrupted with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build(asked_for: str = "") -> App:
    """Return the command with all its commands.

    Args:
        asked_for: the one that is going to run. It tells its help itself, in full; of the others
            there is a line, so that they need not be loaded.

    """
    from importlib import metadata

    from cyclopts import App

    app = App(
        name="by-cp",
        help="Agent availability control plane: it decides what becomes of a call to an agent.\n\n"
        "Example: `by-cp status`\n\n"
        "Exit codes: 0 done; 1 an error, in one line; 2 wrong usage; 3 rejected, or left as it "
        "was; 130 Ctrl-C. `by-cp COMMAND --help` tells more.",
        version=metadata.version("by-cp"),
        result_action="return_value",
    )
    for name, text in (
        ("demo", "Show by-cp at work, on a server of its own. Ctrl-C ends it."),
        ("manager", "Wake agents, deliver what is held, expire what is late."),
        ("worker", "Handle the commands of an agent type with a function."),
        ("send", "Send a message to an agent."),
        ("status", "Show everything at a glance."),
        ("pending", "List the commands that are held."),
        ("circuits", "Show how the circuits stand; force one; set when they open."),
        ("quotas", "Show what tenants use and may use; set it."),
        ("deadletters", "List what could not be delivered; show one with its history."),
        ("redrive", "Redrive dead letters, one or many."),
        ("cancel", "Cancel commands before they are delivered."),
        ("pause", "Pause an agent type: hold what can be held, wake and deliver nothing."),
        ("resume", "End a pause or a drain."),
        ("drain", "Drain an agent type: deliver what is held, accept nothing new."),
        ("fallback", "Say which agent type stands in for another."),
        ("quarantine", "List entries that could not be read; put back, or drop."),
        ("whatif", "Replay recorded traffic under other policies; changes nothing."),
        ("log", "Export, archive and restore the log."),
        ("views", "Compare the live rows with the log, and put right what differs."),
    ):
        app.command(f"by_cp.cli.{name}:{name}", name=name, help=None if name == asked_for else text)
    return app


def _run(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    from by_cp.errors import ByCpError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # for a terminal that has no arrows
    try:
        code = build(*arguments[:1])(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"by-cp: {_usage(error)}", file=sys.stderr)  # noqa: T201 - it is a command
        return 2
    except ByCpError as error:
        print(f"by-cp: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return 1
    return code if isinstance(code, int) else 0


def _usage(error: CycloptsError) -> str:
    """Say in one line what is wrong with a command line, and where it is told how it is right."""
    from cyclopts import UnusedCliTokensError

    if isinstance(error, UnusedCliTokensError):
        too_much = " ".join(map(repr, error.unused_tokens or ()))
        wrong = f"Unexpected: {too_much}."
    else:
        wrong = " ".join(str(error).split())
    command = " ".join(("by-cp", *(error.command_chain or ())))
    end = "" if wrong.endswith((".", "?")) else "."
    return f"{wrong}{end} See `{command} --help`."


if __name__ == "__main__":
    sys.exit(main())
