"""An agent's call of another, in by-framework's `AgentContext.call_agent`.

Two things go wrong there once the decision delivers by itself, or went wrong before:

- Plugins are told of a call only after it was decided, and what they then write into the command (a
  trace's headers, for one) must still reach the wire. So they are told before.
- A call that waits for a reply marks its context as suspended before it is decided. If it is
  rejected nobody will ever reply, so the mark is taken back; else the user's stream never ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any

_Method = Callable[..., Awaitable[Any]]

_MARKS = ("_is_suspended", "_permission_transferred")
"""What a call sets in its context before it is decided."""


class _Call:
    """One call under way. `command` is what the plugins have seen, once they have."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.command: Any = None


_under_way: ContextVar[_Call | None] = ContextVar("by_cp_call_under_way", default=None)


def replacing_call(original: _Method) -> _Method:
    """Return what is called instead of `AgentContext.call_agent`."""

    @wraps(original)
    async def call_agent(context: Any, *args: Any, **kwargs: Any) -> Any:
        marks = {name: getattr(context, name) for name in _MARKS}
        call = _Call(context)
        token = _under_way.set(call)
        try:
            told = await original(context, *args, **kwargs)
        finally:
            _under_way.reset(token)
        if told["status"] == "FAILED":
            vars(context).update(marks)
            if call.command is not None:
                error = RuntimeError(told["error"])
                await context.plugin_registry.on_call_agent_error(context, call.command, error)
        return told

    return call_agent


def replacing_hook(original: _Method) -> _Method:
    """Return what is called instead of `PluginRegistry.on_call_agent_start`."""

    @wraps(original)
    async def on_call_agent_start(registry: Any, context: Any, command: Any) -> Any:
        call = _under_way.get()
        if call is None or call.context is not context or call.command is None:
            return await original(registry, context, command)
        # They were told, with a copy: what they made of it holds for by-framework's command, too.
        selected = command.header.target_agent_type
        vars(command).update(vars(call.command))
        command.header.target_agent_type = selected
        return None

    return on_call_agent_start


async def started(payload: dict[str, Any]) -> dict[str, Any]:
    """Tell the plugins, if an agent's call is under way; return the command as they leave it."""
    call = _under_way.get()
    if call is None:
        return payload
    plugins = import_module("by_framework.core.extensions").PluginRegistry
    if not isinstance(call.context.plugin_registry, plugins):
        return payload
    command = import_module("by_framework.core.protocol.commands").command_from_dict(payload)
    await call.context.plugin_registry.on_call_agent_start(call.context, command)
    call.command = command
    changed: dict[str, Any] = command.to_dict()
    return changed
