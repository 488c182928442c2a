"""by-framework's own client and context on by-cp's router: one line in an application's start-up.

::

    import by_cp.interop

    by_cp.interop.install()

From then on `GatewayClient.send_message()` and `AgentContext.call_agent()` of an unmodified
by-framework decide, record and deliver in by-cp's one atomic call. `uninstall()` undoes it;
`installed()` is both, as a context manager.
"""

from by_cp.interop.routing import last_execution_id
from by_cp.interop.switch import KNOWN_RELEASES, install, installed, uninstall

__all__ = ["KNOWN_RELEASES", "install", "installed", "last_execution_id", "uninstall"]
