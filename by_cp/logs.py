"""How by-cp logs: what happened, in one word, and the facts beside it.

    log = logs.named("by_cp.manager")
    log.info("wake_settled", execution_id=execution_id, status="READY")

It is the standard library's logging, so a program that uses by-cp gets these lines wherever it
sends its own, as `wake_settled execution_id=exec-1 status=READY`. `by-cp`'s own services write them
as JSON or in colour (`by_cp.cli.log_output`). Payloads and secrets are no facts to log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

LogFormat: TypeAlias = Literal["auto", "json", "console"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

_LOGGINGS_OWN = ("exc_info", "stack_info", "stacklevel", "extra")
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f]+")

_about: ContextVar[Mapping[str, object]] = ContextVar("by_cp_log_facts")


class Line:
    """What stands in a log record for a message: the event and its facts.

    Attributes:
        event: what happened, as `snake_case`.
        facts: what is known of it, by name.

    """

    __slots__ = ("event", "facts")

    def __init__(self, event: str, facts: Mapping[str, object]) -> None:
        self.event = event
        self.facts = facts

    def __str__(self) -> str:
        """Return it as text on one line, whatever is in the facts."""
        return " ".join((self.event, *(f"{k}={_shown(v)}" for k, v in self.facts.items())))


class Log(_Adapter):
    """A logger whose methods take an event, and facts by name."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Make one line of the event, the facts, and those that hold here (see `about`)."""
        own = {name: kwargs.pop(name) for name in _LOGGINGS_OWN if name in kwargs}
        return Line(msg, {**_about.get({}), **kwargs}), own


def named(name: str) -> Log:
    """Return the log of that name."""
    return Log(logging.getLogger(name), {})


@contextmanager
def about(**facts: object) -> Iterator[None]:
    """Add facts to every line that is logged in here, by whatever is called."""
    token = _about.set({**_about.get({}), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else repr(text)
