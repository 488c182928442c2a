"""by-cp: what happens to a command when the agent it is meant for has no worker online.

Every public name can be imported from here. It is loaded when it is first asked for, so that a
program pays only for what it uses: `import by_cp` alone loads neither redis nor transitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from by_cp.client import ByaiGatewayClient, GatewayClient, GatewayInterceptor
    from by_cp.context import AgentContext, ByaiAgentContext
    from by_cp.control_plane import ControlPlane
    from by_cp.keys import RedisKeys
    from by_cp.manager.controller import WakeupController
    from by_cp.manager.gate import DeliveryGate
    from by_cp.manager.provider import WakeupProvider
    from by_cp.protocol.byai import (
        BaiYingMessage,
        BaiYingMessageRole,
        MessageContent,
        MessageFile,
        Resource,
    )
    from by_cp.protocol.responses import SendMessageResponse
    from by_cp.router import AvailabilityRouter
    from by_cp.vocabulary import AvailabilityStatus, RoutePolicy, WakeupDecisionStatus
    from by_cp.wire import (
        AvailabilityResult,
        DeliveryIntent,
        PendingDelivery,
        WakeupDecision,
        WakeupRequest,
    )
    from by_cp.worker import Worker

    __version__: str

__all__ = [
    "AgentContext",
    "AvailabilityResult",
    "AvailabilityRouter",
    "AvailabilityStatus",
    "BaiYingMessage",
    "BaiYingMessageRole",
    "ByaiAgentContext",
    "ByaiGatewayClient",
    "ControlPlane",
    "DeliveryGate",
    "DeliveryIntent",
    "GatewayClient",
    "GatewayInterceptor",
    "MessageContent",
    "MessageFile",
    "PendingDelivery",
    "RedisKeys",
    "Resource",
    "RoutePolicy",
    "SendMessageResponse",
    "WakeupController",
    "WakeupDecision",
    "WakeupDecisionStatus",
    "WakeupProvider",
    "WakeupRequest",
    "Worker",
    "__version__",
]

_NAMES_IN = {
    "client": ("ByaiGatewayClient", "GatewayClient", "GatewayInterceptor"),
    "context": ("AgentContext", "ByaiAgentContext"),
    "control_plane": ("ControlPlane",),
    "keys": ("RedisKeys",),
    "manager.controller": ("WakeupController",),
    "manager.gate": ("DeliveryGate",),
    "manager.provider": ("WakeupProvider",),
    "protocol.byai": (
        *("BaiYingMessage", "BaiYingMessageRole"),
        *("MessageContent", "MessageFile", "Resource"),
    ),
    "protocol.responses": ("SendMessageResponse",),
    "router": ("AvailabilityRouter",),
    "vocabulary": ("AvailabilityStatus", "RoutePolicy", "WakeupDecisionStatus"),
    "wire": (
        *("AvailabilityResult", "DeliveryIntent", "PendingDelivery"),
        *("WakeupDecision", "WakeupRequest"),
    ),
    "worker": ("Worker",),
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name == "__version__":
        value: Any = _version()
    elif name in _MODULE_OF:
        from importlib import import_module

        value = getattr(import_module(f"by_cp.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'by_cp' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("by-cp")
    except PackageNotFoundError:  # run from its source, not installed
        return "0+unknown"
