"""How the services write their log: JSON for machines, colour for a terminal; always to stderr."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from by_cp.logs import Line, LogFormat, LogLevel


def write_logs(form: LogFormat, level: LogLevel, stream: TextIO = sys.stderr) -> None:
    """Write by-cp's lines from a level on, and other libraries' warnings.

    Args:
        form: `auto` is `console` on a terminal, and `json` elsewhere.
        level: of by-cp's own lines. Other libraries tell below WARNING what must not be in a log:
            an HTTP client, for one, tells the URL of each call.
        stream: where to.

    """
    console = form == "console" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(console=console, colors=stream.isatty()))
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("by_cp").setLevel(level.upper())


def _formatter(*, console: bool, colors: bool) -> logging.Formatter:
    rendered: tuple[Processor, ...]
    if console:
        rendered = (
            structlog.dev.ConsoleRenderer(
                colors=colors,
                # Not the default, which shows every local variable, payloads included.
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
                pad_event_to=0,
                pad_level=False,
            ),
        )
    else:
        rendered = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=(
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
            structlog.stdlib.add_log_level,
            *(() if console else (structlog.stdlib.add_logger_name,)),
            _facts,
        ),
        processors=(structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered),
    )


def _facts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take a line of by-cp's apart again; what other libraries log has a text only."""
    line = event["_record"].msg
    if isinstance(line, Line):
        event["event"] = line.event
        for name, value in line.facts.items():
            event.setdefault(name, value)
    return event
