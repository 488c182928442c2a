"""`by-replay EXECUTION_ID`: what happened to one execution, and why.

argparse, and rich only for the table: this command is typed often, and should answer at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from importlib import metadata

from by_cp.urls import URL_DEFAULT, URL_VARIABLE

DESCRIPTION = "Show what happened to one execution, and why."
EPILOG = """\
Exit codes: 0 shown; 1 unknown execution, no server, or a history that breaks the state machine's
law; 2 wrong usage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(_parser().parse_args(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="by-replay", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("execution_id", help="as send_message answers it")
    parser.add_argument(
        "--url",
        default=os.environ.get(URL_VARIABLE, URL_DEFAULT),
        help=f"the server (default: ${URL_VARIABLE}, then {URL_DEFAULT})",
    )
    parser.add_argument("--json", action="store_true", help="print an array of objects")
    parser.add_argument("--payload", action="store_true", help="show the command, too")
    parser.add_argument("--version", action="version", version=metadata.version("by-cp"))
    return parser


def _run(options: argparse.Namespace) -> int:
    import asyncio

    from by_cp.control_plane import ControlPlane
    from by_cp.errors import ByCpError
    from by_cp.log.contract import Entry
    from by_cp.names import check_name
    from by_cp.replay.history import rows

    async def fetch() -> list[Entry]:
        check_name("execution_id", options.execution_id)
        async with ControlPlane.connect(options.url) as plane:
            return await plane.history(options.execution_id)

    try:
        history = rows(asyncio.run(fetch()), payload=options.payload)
    except ByCpError as error:
        print(f"by-replay: {error}", file=sys.stderr)  # noqa: T201 - it is a command
        return 1
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal that has no arrows
    if options.json:
        json.dump([row.as_json() for row in history], sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        from by_cp.replay.printing import show

        show(options.execution_id, history)
    sys.stdout.flush()
    if any(row.broken for row in history):
        print("by-replay: this history breaks the state machine's law", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
