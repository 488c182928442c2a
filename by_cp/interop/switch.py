"""Switching an unmodified by-framework to by-cp's router, and back.

Four methods are replaced, on their classes, so that it does not matter who imported what before:
the router's decision; the bookkeeping of the sender, which by-cp does in the same atomic call; an
agent's call of another, which is told the truth about whether it is suspended; and the plugins'
hook before such a call, which must run before the command is on its way.

by-framework promises none of these methods to anyone. So only releases that were looked at, and
are tested against (`tests/interop`), are switched; any other is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from by_cp import logs
from by_cp.errors import InteropUnavailable
from by_cp.interop import calling, routing
from by_cp.keys import SCHEMA, SCHEMA_VARIABLE, RedisKeys

KNOWN_RELEASES = ("0.2.1",)
"""Releases of by-framework that can be switched."""

_REPLACEMENTS: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("core.availability", "AvailabilityRouter", "prepare_delivery", routing.replacing_decision),
    ("core.registry", "WorkerRegistry", "initialize_execution", routing.replacing_bookkeeping),
    ("worker.context", "AgentContext", "call_agent", calling.replacing_call),
    ("core.extensions", "PluginRegistry", "on_call_agent_start", calling.replacing_hook),
)
"""Module and class of by-framework, method, and what makes the method that takes its place."""

_originals: list[tuple[Any, str, Any]] = []

log = logs.named("by_cp.interop")


def install() -> None:
    """Let by-framework's client and context use by-cp's router, in this process.

    Do it once, at start-up; a manager of by-cp must run for those who wait or queue. A second call
    changes nothing.

    Raises:
        InteropUnavailable: by-framework is not installed, is a release that this by-cp does not
            know, or uses another schema of keys. Nothing was changed.

    """
    if _originals:
        return
    release = _release()
    _check_schema(release)
    for module, class_name, method, replacing in _REPLACEMENTS:
        owner: Any = getattr(import_module(f"by_framework.{module}"), class_name)
        original = vars(owner)[method]
        _originals.append((owner, method, original))
        setattr(owner, method, replacing(original))
    log.info("interop_installed", by_framework=str(release))


def uninstall() -> None:
    """Give by-framework its own router back. Harmless when it has it."""
    while _originals:
        setattr(*_originals.pop())


@contextmanager
def installed() -> Iterator[None]:
    """Install for as long as the context lasts; if it was installed before, it stays so.

    Raises:
        InteropUnavailable: as `install`.

    """
    before = bool(_originals)
    install()
    try:
        yield
    finally:
        if not before:
            uninstall()


def _check_schema(release: str) -> None:
    theirs = import_module("by_framework.common.constants").RedisKeys
    if theirs.ctrl_stream("x") != RedisKeys.ctrl_stream("x"):
        raise InteropUnavailable(
            f"by-framework {release} does not use the keys of schema {SCHEMA}, as by-cp does here; "
            f"set {SCHEMA_VARIABLE} to what it uses, for all processes on that server"
        )


def _release() -> str:
    known = ", ".join(KNOWN_RELEASES)
    try:
        release = version("by-framework")
    except PackageNotFoundError:
        raise InteropUnavailable(
            f"by-framework is not installed here; install one of {known} (Python 3.12 or newer)"
        ) from None
    if release not in KNOWN_RELEASES:
        raise InteropUnavailable(
            f"this by-cp does not know by-framework {release}, only {known}: install one of these, "
            "or a newer by-cp, or import the client from by_cp instead of switching by-framework's"
        )
    return release
