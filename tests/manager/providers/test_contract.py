"""Every provider of ours keeps the contract, against real processes and a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from by_cp.manager.provider import WakeupProvider
from by_cp.manager.providers.command import CommandProvider
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.routed import RoutedProvider
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.manager.providers.webhook import WebhookProvider
from by_cp.testing.providers import ProviderContract
from by_cp.webhooks import new_secret, verify
from by_cp.wire import WakeupRequest
from tests.manager.providers.endpoint import Answer, Received, serving
from tests.manager.providers.starting import SLEEPER
from tests.processes import marked


class TestProcessProvider(ProviderContract):
    """Worker processes, with a warm one so that there is something to supervise."""

    failing_agent_type = "failing"

    mark: str

    @pytest.fixture
    def provider(self, tmp_path: Path) -> WakeupProvider:
        """A provider whose processes can be found again."""
        return self.processes(tmp_path)

    def processes(self, directory: Path) -> ProcessProvider:
        """Make it."""
        self.mark = str(directory)
        specs = {
            "agent": WorkerSpec(command=SLEEPER, env={"AGENT": self.mark}),
            "failing": WorkerSpec(command=["false"]),
            "warm": WorkerSpec(command=SLEEPER, warm_min=1),
        }
        env = {"MARK": self.mark}
        return ProcessProvider(specs, url="redis://x", log_directory=directory, env=env)

    async def starts(self) -> int:
        """How many of its processes there are."""
        return len(marked(f"AGENT={self.mark}"))

    async def leftovers(self) -> Collection[object]:
        """Processes that live on."""
        return marked(f"MARK={self.mark}")


COMMAND = """
case "$BY_CP_AGENT_TYPE" in
  slow) echo '{"status": "QUEUED"}'; sleep 600 & wait ;;
  agent) mkdir "$WORKERS/$BY_CP_EPOCH" 2> /dev/null || true
         echo '{"status": "QUEUED", "reason": "place 1"}'
         echo '{"status": "STARTING"}' ;;
  *) echo "no such agent: $BY_CP_AGENT_TYPE" >&2; exit 1 ;;
esac
"""


class TestCommandProvider(ProviderContract):
    """A shell script, which takes the epoch for an idempotency key."""

    slow_agent_type = "slow"
    failing_agent_type = "failing"

    @pytest.fixture
    def provider(self, tmp_path: Path) -> WakeupProvider:
        """A provider that runs it."""
        self.workers = tmp_path
        env = {"WORKERS": str(tmp_path)}
        return CommandProvider(["sh", "-c", COMMAND], env=env, stop_grace_s=0.5)

    async def starts(self) -> int:
        """What the script has noted."""
        return len(list(self.workers.iterdir()))

    async def leftovers(self) -> Collection[object]:
        """Processes that live on."""
        return marked(f"WORKERS={self.workers}")


SECRET = new_secret()


class TestWebhookProvider(ProviderContract):
    """An endpoint that checks signatures and knows repetitions."""

    slow_agent_type = "slow"
    failing_agent_type = "failing"

    @pytest.fixture
    def provider(self) -> Iterator[WakeupProvider]:
        """A provider that asks it."""
        self.started: set[str] = set()
        self.may_answer = threading.Event()
        with serving(self.answer) as endpoint:
            yield WebhookProvider(endpoint.url, secret=SECRET)
            self.may_answer.set()

    def answer(self, received: Received) -> Answer:
        """Do as an endpoint of somebody's would."""
        epoch = verify(received.headers, received.body, SECRET)
        agent_type = WakeupRequest.from_json(received.body).target_agent_type
        if agent_type == "slow":
            self.may_answer.wait(60)
        if agent_type == "failing":
            return Answer(200, b'{"status": "FAILED", "reason": "out of machines"}')
        if agent_type == "no-such-agent":
            return Answer(400, b"no such agent")
        self.started.add(epoch)
        return Answer(202)

    async def starts(self) -> int:
        """How many calls the endpoint took for different ones."""
        return len(self.started)


class TestRoutedProvider(TestProcessProvider):
    """A router in front of processes can do all that they can."""

    @pytest.fixture
    def provider(self, tmp_path: Path) -> WakeupProvider:
        """Two routes to one provider."""
        processes = self.processes(tmp_path)
        return RoutedProvider({"agent": processes, "[fw]a*": processes})
