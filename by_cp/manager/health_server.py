"""`/livez` and `/readyz` over HTTP, in the manager's own event loop: if that hangs, so do they."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from by_cp.errors import InvalidInput, MissingExtra
from by_cp.manager.health import Health, Report

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

BACKLOG = 16


def check_installed() -> None:
    """Make sure that what serves HTTP is installed.

    Raises:
        MissingExtra: it is not.

    """
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtra("health_port", error.name or "uvicorn", "server") from error
    del starlette, uvicorn


@asynccontextmanager
async def served(health: Health, host: str, port: int) -> AsyncIterator[int]:
    """Serve a manager's health meanwhile; gives the port.

    Args:
        health: of the manager.
        host: a name or an address of this machine.
        port: 0 is a free one.

    Raises:
        InvalidInput: nothing can be served there, because another does or the host is not here.

    """
    with _listening(host, port) as listener:
        server = _server(_app(health))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen here and not in uvicorn, which ends the process if it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidInput(f"health_port {port} of {host!r} cannot be used: {error}") from error
    with listener:
        yield listener


def _app(health: Health) -> Starlette:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def answer(report: Report) -> Response:
        return Response(
            msgspec.json.encode(report) + b"\n",
            status_code=200 if report.ok else 503,
            headers={"cache-control": "no-store"},
            media_type="application/json",
        )

    async def livez(_request: Request) -> Response:
        return answer(health.live())

    async def readyz(_request: Request) -> Response:
        return answer(health.ready())

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz)])


def _server(app: Any) -> uvicorn.Server:
    import uvicorn

    class Quiet(uvicorn.Server):
        """Leaves the process's signals alone: they are the manager's."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Quiet(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
    )
