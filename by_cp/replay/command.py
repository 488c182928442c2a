"""`by-replay EXECUTION_ID`: what happened to one execution, and why.

argparse, and imports where they are needed: this command is typed often, and should answer at once.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Sequence

from by_cp.urls import URL_DEFAULT, URL_VARIABLE

DESCRIPTION = "Show what happened to one execution, and why."
EPILOG = """\
Example: by-replay exec-01M87XTK4FYR3CA2EE2AAEC6XK --at 22:13:20

Exit codes: 0 shown; 1 unknown execution, no server, or a history that breaks
the state machine's law; 2 wrong usage; 130 interrupted with Ctrl-C."""

ARCHIVE_VARIABLE = "BY_CP_ARCHIVE"
"""Environment variable with the directory of the archive."""

SNAPSHOTS_VARIABLE = "BY_CP_SNAPSHOTS"
"""Environment variable with a snapshot, or with the directory of several."""

INTERRUPTED = 130
HELP_WIDTH = 80


def entry() -> int:
    """Run the command in a process of its own.

    Nothing in it lives long enough for the garbage collector: to look through all that was imported
    when the process ends would take a seventh of its time.
    """
    gc.disable()
    try:
        return main()
    finally:
        gc.freeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(_parsed(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="by-replay",
        description=DESCRIPTION,
        epilog=EPILOG,
        # With no width given each option that is added imports shutil.
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=HELP_WIDTH),
    )
    add = parser.add_argument
    add(
        "ids",
        nargs="+",
        metavar="ID",
        help="an execution's id, or the beginning of one; or a message's, session's or trace's id",
    )
    add(
        "--url",
        default=os.environ.get(URL_VARIABLE) or URL_DEFAULT,
        help=f"the server (default: ${URL_VARIABLE}, then {URL_DEFAULT})",
    )
    add("--from", dest="path", metavar="PATH", help="an export or archive, instead of a server")
    add(
        "--archive",
        metavar="DIR",
        default=os.environ.get(ARCHIVE_VARIABLE),
        help="the archive of the server's log, for what is no longer on the server "
        f"(default: ${ARCHIVE_VARIABLE})",
    )
    add("--payload", action="store_true", help="show the command, too")
    add(
        "--at",
        metavar="MOMENT",
        help="only up to a position or time (UTC), and what stood around it then",
    )
    add(
        "--snapshots",
        metavar="PATH",
        default=os.environ.get(SNAPSHOTS_VARIABLE),
        help="with --at: a snapshot, or a directory of them, so that not all of the log is read "
        f"(default: ${SNAPSHOTS_VARIABLE})",
    )
    add("--diff", metavar="ID", help="what is different in another execution")
    add("--follow", action="store_true", help="go on until the execution is settled")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an array of objects")
    form.add_argument(
        "--mermaid",
        nargs="?",
        const="both",
        choices=("sequence", "state", "both"),
        help="diagrams for Mermaid: Markdown with both, or one alone",
    )
    form.add_argument("--html", metavar="FILE", help="a page to look at and to share; - is stdout")
    add("--version", action=_Version, help="show the version, and end")
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than most histories."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version, and end."""
        from importlib import metadata

        sys.stdout.write(metadata.version("by-cp") + "\n")
        parser.exit()


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    for other in ("at", "diff", "mermaid", "html"):
        if options.follow and getattr(options, other):
            parser.error(f"--follow goes on, so it cannot be combined with --{other}")
    if options.diff and (options.at or options.mermaid or options.html):
        parser.error("--diff is printed as text or with --json, and of whole histories")
    if len(options.ids) > 1 and (options.follow or options.diff or options.at):
        parser.error("--at, --diff and --follow are about one execution")
    return options


def _run(options: argparse.Namespace) -> int:
    from by_cp.errors import ByCpError
    from by_cp.replay import replaying

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal that has no arrows
    try:
        broken = replaying.run(options)
    except ByCpError as error:
        print(f"by-replay: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return 1
    sys.stdout.flush()
    if broken:
        print(  # noqa: T201 - it is a command
            "by-replay: this history breaks the state machine's law, or lacks what was archived: "
            "see --archive",
            file=sys.stderr,
        )
    return int(broken)


if __name__ == "__main__":
    sys.exit(entry())
