"""A provider that asks an HTTP endpoint: a POST of the request, signed; see `by_cp.webhooks`.

| the endpoint answers | what that is |
|---|---|
| 2xx with a decision, JSON | the decision |
| 2xx without a body, as 202 and 204 have none | STARTING |
| 2xx with anything else | FAILED |
| 408, 425, 429, 500, 502, 503, 504, or not at all | unavailable: asked again, `Retry-After` later |
| 3xx | FAILED: a redirect is not followed, because the signed request is for this endpoint only |
| 401, 404, 405, 410, 501 | FAILED: the URL or the secret is wrong, for every wake |
| any other 4xx | REJECTED: not for this request |

Each call has an id of its own, in `Idempotency-Key` and in `webhook-id`: an endpoint that gets the
same one twice has been asked once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from by_cp.errors import InvalidInput, MissingExtra
from by_cp.manager.decisions import RETRY_AFTER_MS_MAX, understood
from by_cp.manager.provider import ProviderUnavailable
from by_cp.manager.providers.answers import decision
from by_cp.manager.providers.closing import Closing
from by_cp.urls import without_password
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.webhooks import keys_of, signed
from by_cp.wire import WakeupDecision, WakeupRequest

if TYPE_CHECKING:
    import httpx

ANSWER_BYTES_MAX: Final = 65_536
"""A longer answer is not read to its end."""

SHOWN_LENGTH_MAX: Final = 300
"""So much of an answer, in characters, goes into the reason of a failure."""

UNAVAILABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
WRONG: Final = frozenset({401, 404, 405, 410, 501})

_FIRST_ERROR: Final = 400


class WebhookProvider(Closing):
    """Asks an endpoint to start workers. Use it as a context, or `close` it.

    Proxies and certificates of one's own are what httpx finds in the environment: HTTPS_PROXY,
    NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR.

    Args:
        url: the endpoint, http:// or https://.
        secret: signs the requests; `by_cp.webhooks.new_secret` makes one. While it is being
            replaced there may be two, the new one and the old one.
        headers: more headers, such as `Authorization`.
        timeout_s: how long the whole answer may take, in seconds.
        clock: only for tests: the time, in seconds since 1970.

    Raises:
        InvalidInput: the URL or a secret is none.
        MissingExtra: httpx is not installed.

    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | Sequence[str],
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = _client(url, headers or {})
        keys_of(secret)
        self._url = url
        self._shown_url = without_password(url)
        self._secret = secret
        self._timeout_s = timeout_s
        self._clock = clock

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Post the request, and return what the endpoint decides.

        Raises:
            ProviderUnavailable: it is not there, too slow, too busy, or broken.

        """
        import httpx

        try:
            async with asyncio.timeout(self._timeout_s):
                response, body = await self._post(request)
        except TimeoutError as error:
            text = f"the webhook {self._shown_url} did not answer within {self._timeout_s:g} s"
            raise ProviderUnavailable(text) from error
        except httpx.TransportError as error:
            text = f"the webhook {self._shown_url} cannot be reached: {_words(error)}"
            raise ProviderUnavailable(text) from error
        return self._decided(request, response, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, request: WakeupRequest) -> tuple[httpx.Response, bytes | None]:
        """Return the response, and its body; None if that is too long."""
        content = request.to_redis_payload()["data"].encode()
        # Only what may stand in a header, and no dot, which is what the signature's parts end with.
        key = quote(request.epoch or request.execution_id, safe="").replace(".", "%2E")
        headers = {
            **signed(self._secret, key, int(self._clock()), content),
            "Idempotency-Key": key,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # what is packed has no bound when it is unpacked
        }
        call = self._client.stream("POST", self._url, content=content, headers=headers)
        async with call as response:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    return response, None
            return response, body

    def _decided(
        self, request: WakeupRequest, response: httpx.Response, body: bytes | None
    ) -> WakeupDecision:
        """Return what a response means."""
        code = response.status_code
        text = f"the webhook answered {code}" + _shown(body)
        if code in UNAVAILABLE:
            retry_after = response.headers.get("Retry-After")
            raise ProviderUnavailable(text, _retry_after_ms(retry_after, self._clock()))
        if response.is_success:
            return _read(request, code, body)
        if response.is_redirect:
            location = without_password(response.headers.get("Location", "nowhere"))
            text = f"the webhook redirects to {location}, which is not followed; give its URL"
        is_refused = code >= _FIRST_ERROR and code not in WRONG and not response.is_server_error
        status = WakeupDecisionStatus.REJECTED if is_refused else WakeupDecisionStatus.FAILED
        return decision(request, status, text)


def _read(request: WakeupRequest, code: int, body: bytes | None) -> WakeupDecision:
    if body is None:
        text = f"the webhook answered {code} and more than {ANSWER_BYTES_MAX:,} bytes"
        return decision(request, WakeupDecisionStatus.FAILED, text)
    if not body.strip():
        return decision(request, WakeupDecisionStatus.STARTING, f"the webhook answered {code}")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = f"the webhook answered {code}, but no decision in JSON" + _shown(body)
        return decision(request, WakeupDecisionStatus.FAILED, text)
    return understood(answer, request)


def _client(url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("the webhook provider", "httpx", "webhook") from error
    try:
        parts = httpx.URL(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.host) and parts.port != 0
    except (httpx.InvalidURL, TypeError):
        is_url = False
    if not is_url:
        raise InvalidInput(
            f"a webhook's url must be http://… or https://…, not {without_password(str(url))!r}"
        )
    # The whole call has a time limit; limits of its parts would only add up.
    return httpx.AsyncClient(headers=headers, timeout=None, follow_redirects=False)  # noqa: S113


def _retry_after_ms(text: str | None, now_s: float) -> int | None:
    """Return what a Retry-After header says: seconds, or a date."""
    if text is None:
        return None
    try:
        if text.strip().isdecimal():
            return min(int(text) * 1000, RETRY_AFTER_MS_MAX)
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    left_s = date.replace(tzinfo=date.tzinfo or UTC) - datetime.fromtimestamp(now_s, UTC)
    return max(0, min(round(left_s.total_seconds() * 1000), RETRY_AFTER_MS_MAX))


def _shown(body: bytes | None) -> str:
    text = " ".join((body or b"").decode(errors="replace").split())
    if not text:
        return ""
    return ": " + (text if len(text) <= SHOWN_LENGTH_MAX else text[: SHOWN_LENGTH_MAX - 1] + "…")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
