"""The webhook provider, against a real HTTP server."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from by_cp.errors import InvalidInput, MissingExtra
from by_cp.manager.provider import ProviderUnavailable
from by_cp.manager.providers.webhook import ANSWER_BYTES_MAX, WebhookProvider
from by_cp.webhooks import new_secret, verify
from by_cp.wire import WakeupRequest
from tests.manager.providers.endpoint import Answer, Endpoint, serving
from tests.manager.providers.starting import wake_of
from tests.waiting import until

SECRET = new_secret()
NOW_S = 1_700_000_000


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that answers 202."""
    with serving(lambda _: Answer(202)) as served:
        yield served


@pytest.fixture
async def provider(endpoint: Endpoint) -> AsyncIterator[WebhookProvider]:
    """A provider that asks it."""
    async with WebhookProvider(endpoint.url, secret=SECRET, clock=lambda: NOW_S) as made:
        yield made


async def test_the_endpoint_gets_the_request_signed(
    endpoint: Endpoint, provider: WebhookProvider
) -> None:
    """As JSON, with the call's id twice: once for the signature, once for who expects it so."""
    request = wake_of("agent: ü", epoch="17-0", attempt=2, user_code="acme", metadata={"a": [1]})
    await provider.wakeup(request)
    [received] = endpoint.received
    assert WakeupRequest.from_json(received.body) == request
    assert verify(received.headers, received.body, SECRET, now_s=NOW_S) == "17-0"
    assert received.headers["Idempotency-Key"] == "17-0"
    assert received.headers["Content-Type"] == "application/json"


async def test_a_call_without_an_epoch_is_named_by_its_execution(
    endpoint: Endpoint, provider: WebhookProvider
) -> None:
    """Whatever an id is made of, it can stand in a header."""
    request = WakeupRequest("é.1 x", "a", "s", "t", "m", "client", "WAKE_AND_QUEUE", 1_000)
    await provider.wakeup(request)
    assert endpoint.received[0].headers["Idempotency-Key"] == "%C3%A9%2E1%20x"


async def test_more_headers_are_sent(endpoint: Endpoint) -> None:
    """For an endpoint that wants to know more than the signature."""
    headers = {"Authorization": "Bearer x"}
    async with WebhookProvider(endpoint.url, secret=SECRET, headers=headers) as provider:
        await provider.wakeup(wake_of("a"))
    assert endpoint.received[0].headers["Authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("code", "body", "status", "reason"),
    [
        (200, b'{"status": "READY", "worker_ids": ["w"]}', "READY", ""),
        (201, b'{"status": "QUEUED", "reason": "place 3"}', "QUEUED", "place 3"),
        (202, b"", "STARTING", "the webhook answered 202"),
        (204, b"", "STARTING", "the webhook answered 204"),
        (200, b"OK", "FAILED", "the webhook answered 200, but no decision in JSON: OK"),
        (200, b'{"stat', "FAILED", 'the webhook answered 200, but no decision in JSON: {"stat'),
        (200, b"[" * 60_000, "FAILED", "the webhook answered 200, but no decision in JSON: [[["),
        (200, b'"READY"', "FAILED", "the provider answered with str, not with a WakeupDecision"),
        (200, b'{"status": "FINE"}', "FAILED", "the provider answered with the unknown status"),
        (200, b"x" * (ANSWER_BYTES_MAX + 1), "FAILED", "the webhook answered 200 and more than"),
        (400, b"no such model", "REJECTED", "the webhook answered 400: no such model"),
        (403, b"", "REJECTED", "the webhook answered 403"),
        (401, b"who?", "FAILED", "the webhook answered 401: who?"),
        (404, b"\xff\n\n" + b"x" * 999, "FAILED", "the webhook answered 404: \ufffd xxx"),
        (501, b"", "FAILED", "the webhook answered 501"),
    ],
)
async def test_each_answer_has_its_meaning(
    endpoint: Endpoint,
    provider: WebhookProvider,
    code: int,
    body: bytes,
    status: str,
    reason: str,
) -> None:
    """The table in the guide, row by row."""
    endpoint.answer = lambda _: Answer(code, body)
    decision = await provider.wakeup(wake_of("a"))
    assert decision.status == status
    assert decision.reason.startswith(reason)
    assert len(decision.reason) < 400
    assert (decision.execution_id, decision.target_agent_type) == ("exec-1", "a")


async def test_a_redirect_is_not_followed(endpoint: Endpoint, provider: WebhookProvider) -> None:
    """The request, payload and all, is for the endpoint that was configured."""
    endpoint.answer = lambda _: Answer(307, headers={"Location": "http://u:secret@elsewhere/"})
    decision = await provider.wakeup(wake_of("a"))
    assert decision.status == "FAILED"
    assert decision.reason == (
        "the webhook redirects to http://u:***@elsewhere/, which is not followed; give its URL"
    )
    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    ("retry_after", "retry_after_ms"),
    [
        (None, None),
        ("7", 7_000),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10_000),  # NOW_S is 22:13:20
        ("Mon, 13 Nov 2023 00:00:00 GMT", 0),
        ("9" * 5_000, None),
        ("9" * 50, 7 * 24 * 3600 * 1000),
        ("soon", None),
    ],
)
@pytest.mark.parametrize("code", [408, 429, 503])
async def test_an_endpoint_may_be_busy(
    endpoint: Endpoint,
    provider: WebhookProvider,
    code: int,
    retry_after: str | None,
    retry_after_ms: int | None,
) -> None:
    """It is asked again, and when, if it says that."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    endpoint.answer = lambda _: Answer(code, b"later", headers)
    with pytest.raises(ProviderUnavailable, match=f"answered {code}: later") as caught:
        await provider.wakeup(wake_of("a"))
    assert caught.value.retry_after_ms == retry_after_ms


async def test_an_endpoint_may_be_away() -> None:
    """Nobody listens there; the reason names the endpoint, without its password."""
    with serving(lambda _: Answer()) as gone:
        url = gone.url.replace("http://", "http://u:secret@")
    async with WebhookProvider(url, secret=SECRET) as provider:
        with pytest.raises(ProviderUnavailable, match=r"http://u:\*\*\*@.* cannot be reached"):
            await provider.wakeup(wake_of("a"))


async def test_an_endpoint_may_break_off(endpoint: Endpoint, provider: WebhookProvider) -> None:
    """An answer that ends too early is none."""
    endpoint.answer = lambda _: Answer(200, b"{", {"Content-Length": "50"})
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await provider.wakeup(wake_of("a"))


async def test_an_endpoint_may_be_too_slow(endpoint: Endpoint) -> None:
    """The time limit is for the whole answer, however it trickles in."""
    may_answer = threading.Event()

    def answer(_: object) -> Answer:
        may_answer.wait(10)
        return Answer()

    endpoint.answer = answer
    async with WebhookProvider(endpoint.url, secret=SECRET, timeout_s=0.05) as provider:
        with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.05 s"):
            await provider.wakeup(wake_of("a"))
    may_answer.set()


async def test_what_is_packed_is_not_unpacked(
    endpoint: Endpoint, provider: WebhookProvider
) -> None:
    """An answer of a few bytes cannot become one of gigabytes."""
    packed = gzip.compress(b" " * 10_000_000)
    endpoint.answer = lambda _: Answer(200, packed, {"Content-Encoding": "gzip"})
    assert (await provider.wakeup(wake_of("a"))).status == "FAILED"
    assert endpoint.received[0].headers["Accept-Encoding"] == "identity"


async def test_calls_run_side_by_side(endpoint: Endpoint, provider: WebhookProvider) -> None:
    """A slow answer delays no other."""
    may_answer = threading.Event()

    def answer(received: Any) -> Answer:
        if json.loads(received.body)["target_agent_type"] == "slow":
            may_answer.wait(10)
        return Answer(202)

    endpoint.answer = answer
    slow = asyncio.create_task(provider.wakeup(wake_of("slow")))
    await until(lambda: len(endpoint.received) == 1)
    assert (await provider.wakeup(wake_of("fast"))).status == "STARTING"
    assert not slow.done()
    may_answer.set()
    await slow


@pytest.mark.parametrize("url", ["", "example.org", "ftp://x", "http://", "http://x:0", 1])
def test_a_url_that_is_none_is_refused(url: Any) -> None:
    """When the provider is made, where somebody reads it."""
    with pytest.raises(InvalidInput, match="a webhook's url must be"):
        WebhookProvider(url, secret=SECRET)


def test_a_weak_secret_is_refused() -> None:
    """An endpoint that starts processes must know who asks."""
    with pytest.raises(InvalidInput, match="new_secret"):
        WebhookProvider("http://x", secret="hunter2")  # noqa: S106 - it is refused


def test_without_httpx_it_says_what_to_install() -> None:
    """It is an extra: by-cp loads without it, and the provider names it."""
    source = """
import sys
sys.modules["httpx"] = None  # as if it were not installed
from by_cp.errors import ByCpError
from by_cp.manager.providers.webhook import WebhookProvider
try:
    WebhookProvider("http://x", secret="whsec_")
except ByCpError as error:
    print(error)
"""
    shown = subprocess.check_output([sys.executable, "-c", source], text=True)
    assert shown == "the webhook provider needs httpx: pip install 'by-cp[webhook]'\n"
    assert issubclass(MissingExtra, ImportError)
