"""`by-cp demo`: a server, a manager and no worker; all five policies, then one history.

Everything is real: the server, the manager and the workers are processes. The manager has a session
of its own, so that Ctrl-C reaches the demo only, which stops it in order; and each process is ended
by the kernel if its parent is killed.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from by_cp.cli.outcome import in_words, last_step
from by_cp.cli.running import run
from by_cp.control_plane import ControlPlane
from by_cp.deathsig import dying_with_parent
from by_cp.errors import ByCpError
from by_cp.protocol.responses import SendMessageResponse
from by_cp.replay.durations import lasting
from by_cp.replay.history import history
from by_cp.replay.printing import show
from by_cp.replies import text_of
from by_cp.vocabulary import RoutePolicy

AGENTS = "by_cp.cli.demo_agents:shout"
BY_CP = (sys.executable, "-m", "by_cp.cli")
ANSWER_S = 20.0
STOP_S = 10.0
POLL_S = 0.02


class Story:
    """What a person sees: numbered steps, and what came of each."""

    def __init__(self, plane: ControlPlane, console: Console) -> None:
        self.plane = plane
        self.console = console
        self._steps = 0

    def tell(self, text: str | Text) -> None:
        """Print a line of the account."""
        self.console.print(Padding(text, (0, 0, 0, 3), expand=False))

    async def send(self, policy: RoutePolicy, agent_type: str, why: str) -> SendMessageResponse:
        """Send a message, and say what became of it."""
        self._steps += 1
        self.console.print(
            f"\n[bold]{self._steps}. {policy.value}[/] to [cyan]{agent_type}[/]: {why}"
        )
        began_s = time.monotonic()
        with self.console.status(f"   {policy.value} …"):
            response = await self.plane.client.send_message(
                agent_type,
                f"demo-{self._steps}",
                f"hello, {agent_type}",
                route_policy=policy,
                availability_timeout_ms=15_000,
            )
        took_ms = round((time.monotonic() - began_s) * 1000)
        last = await last_step(self.plane, response)
        self.tell(in_words(response, last, agent_type))
        self.tell(f"[dim]the caller was told after {lasting(took_ms)}[/]")
        return response

    async def answer(self, step: int) -> None:
        """Wait for the worker's answer to a step's message, and print it."""
        with self.console.status("   waiting for the answer …"):
            end_s = time.monotonic() + ANSWER_S
            while not (texts := _answers(await self.plane.replies(f"demo-{step}"))):
                if time.monotonic() > end_s:
                    raise ByCpError(f"no answer to message {step} came within {ANSWER_S:g} s")
                await asyncio.sleep(POLL_S)
        self.tell(f"answer to {step}: [bold green]{escape(texts[0])}[/]")


def demo() -> int:
    """Show by-cp at work: all five policies on a server of its own.

    A server, a manager and no worker; a history comes last. Nothing is left behind, and no server
    is needed. Ctrl-C ends it at any time.

    Example: `by-cp demo`

    Exit codes: 0 shown; 1 an error; 130 Ctrl-C.
    """
    return run(_demo(), terminated=0)


async def _demo() -> int:
    console = Console(highlight=False)
    console.print("[bold]by-cp[/]: what becomes of a call to an agent that is not running\n")
    async with ControlPlane.embedded() as plane:
        console.print("   a Valkey server of our own is up, every write on disk before it counts")
        async with _process(*_manager(plane.url)) as manager:
            console.print(f"   a manager is up (process {manager.pid}); [bold]no worker is[/]")
            story = Story(plane, console)
            woken = await _tell(story)
        console.print("\n[bold]by-replay[/] of what WAKE_AND_WAIT did:\n")
        show(history(await plane.history(woken)))
    return 0


async def _tell(story: Story) -> str:
    """Go through the policies; return the execution_id of the woken one."""
    await story.send(RoutePolicy.FAIL_FAST, "echo", "nobody is online, and that is final")
    woken = await story.send(RoutePolicy.WAKE_AND_WAIT, "echo", "the manager starts a worker")
    await story.answer(2)
    await story.send(RoutePolicy.FAIL_FAST, "echo", "now somebody is online")
    await story.answer(3)
    await story.send(RoutePolicy.WAKE_AND_QUEUE, "report", "held, woken, and we go on")
    await story.send(RoutePolicy.QUEUE_ONLY, "night-shift", "held until a worker comes by itself")
    await story.send(RoutePolicy.SEND_ANYWAY, "mailbox", "nobody looks whether anyone is there")
    await story.answer(4)
    story.tell("a worker for night-shift and mailbox comes on duty …")
    types = ("--agent-type", "night-shift", "--agent-type", "mailbox")
    url = ("--url", story.plane.url)
    quiet = ("--log-level", "warning")
    async with _process(*BY_CP, "worker", "--handler", AGENTS, *types, *url, *quiet):
        await story.answer(5)
        await story.answer(6)
    return woken.execution_id


def _manager(url: str) -> tuple[str, ...]:
    worker = shlex.join((*BY_CP, "worker", "--handler", AGENTS))
    workers = [part for name in ("echo", "report") for part in ("--worker", f"{name}={worker}")]
    return (*BY_CP, "manager", "--url", url, "--log-level", "warning", *workers)


def _answers(messages: list[Any]) -> list[str]:
    """Return the texts of the answers among a session's messages."""
    return [text_of(message) for message in messages if message["event_type"] == "finalAnswer"]


@asynccontextmanager
async def _process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that ends with the context."""
    process = await asyncio.create_subprocess_exec(
        *dying_with_parent(command), start_new_session=True
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_S)
        finally:
            if process.returncode is None:
                process.kill()
