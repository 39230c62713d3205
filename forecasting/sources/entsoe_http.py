"""HTTP for the ENTSO-E service: time-outs, retries within a deadline, a polite pace, and no token in anything it says.

``entsoe-py`` takes any object with ``headers`` and ``get`` as its session. This one answers with a fresh response that
holds neither the request nor its address, so that whatever is raised or logged above it cannot print the token.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import requests
import urllib3

from forecasting.errors import SettingError, SourceUnavailableError
from forecasting.sources.rate_limit import RateLimiter
from forecasting.sources.redaction import HIDDEN, KeyFromEnvironment, hide_tokens_in_http_logs, redact

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 65536
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait, in seconds. ``deadline_s`` covers one request with all its retries, waiting included."""

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    deadline_s: float = 300.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    too_many_requests_wait_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise SettingError(f"{name} must be a positive number of seconds, not {value}")


def _checked(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(f"source.endpoint (or ENTSOE_ENDPOINT_URL) is no web address: {redact(endpoint)!r}")
    return endpoint


@dataclass(frozen=True)
class _Attempt:
    """What one attempt brought: an answer, or a ``problem`` in words (without the token)."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""

    @property
    def worth_retrying(self) -> bool:
        return bool(self.problem) or self.status == 429 or self.status >= 500

    @property
    def in_words(self) -> str:
        return self.problem or f"HTTP {self.status}"


class PoliteSession:
    """A session for ``entsoe.EntsoeRawClient`` that adds the key at the last moment.

    ``endpoint`` replaces the address that ``entsoe-py`` fixed when it was imported; without it the environment variable
    ``ENTSOE_ENDPOINT_URL`` is read at every request.

    429, 5xx, broken connections and read time-outs are tried again with doubling waits (``Retry-After`` is honoured)
    until ``policy.deadline_s``; then, and for a refused key or a redirection, ``SourceUnavailableError`` is raised.
    Other answers go back to the caller.
    """

    def __init__(
        self,
        key: KeyFromEnvironment,
        *,
        policy: RetryPolicy | None = None,
        limiter: RateLimiter | None = None,
        endpoint: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        hide_tokens_in_http_logs()
        self._key = key
        self._policy = policy or RetryPolicy()
        self._limiter = limiter
        self._endpoint = endpoint
        self._monotonic = monotonic
        self._sleep = sleep
        self._http = requests.Session()

    @property
    def headers(self) -> MutableMapping[str, str | bytes]:
        """Headers sent with every request."""
        return self._http.headers

    def get(self, url: str, params: Mapping[str, str], **_: object) -> requests.Response:
        """Answer to one request. ``params`` may hold any ``securityToken``: the real one replaces it on the way out."""
        endpoint = _checked(self._endpoint or os.environ.get("ENTSOE_ENDPOINT_URL") or url)
        asked = {name: value for name, value in params.items() if name != "securityToken"}
        attempt = self._try_until_deadline(endpoint, asked)
        if attempt.status in (401, 403):
            raise SourceUnavailableError(
                f"ENTSO-E refused the security token (HTTP {attempt.status}); check the environment variable "
                f"{self._key.variable}"
            )
        if 300 <= attempt.status < 400:
            moved_to = urlsplit(attempt.headers.get("Location", "")).hostname or "an unknown address"
            raise SourceUnavailableError(
                f"ENTSO-E at {urlsplit(endpoint).hostname} redirects to {moved_to}; the token is not sent there. "
                "Set source.endpoint to the new address if you trust it"
            )
        answer = requests.Response()
        answer.status_code = attempt.status
        answer.headers["Content-Type"] = attempt.headers.get("Content-Type", "")
        answer.raw = io.BytesIO(self._without_key(attempt.body))
        answer.encoding = "utf-8"  # without a charset in the header, requests would guess Latin-1 for text/xml
        answer.url = f"{endpoint}?{urlencode(asked)}"
        return answer

    def _try_until_deadline(self, endpoint: str, asked: Mapping[str, str]) -> _Attempt:
        stop: float | None = None
        attempts = 0
        while True:
            if self._limiter is not None:
                self._limiter.wait()
            if stop is None:  # waiting for our own pace is not the service's delay
                stop = self._monotonic() + self._policy.deadline_s
            attempt = self._send(endpoint, asked, stop)
            attempts += 1
            if not attempt.worth_retrying:
                return attempt
            wait_s = self._wait_before_retry(attempt, attempts)
            if self._monotonic() + wait_s >= stop:
                break
            logger.warning("ENTSO-E: %s; attempt %d, next in %.1f s", attempt.in_words, attempts, wait_s)
            self._sleep(wait_s)
        raise SourceUnavailableError(
            f"ENTSO-E at {urlsplit(endpoint).hostname} gave no usable answer within {self._policy.deadline_s:g} s "
            f"({attempts} {'attempt' if attempts == 1 else 'attempts'}, last: {attempt.in_words}); try again later, "
            "or raise source.deadline_s"
        )

    def _wait_before_retry(self, attempt: _Attempt, attempts: int) -> float:
        wait_s = min(self._policy.first_wait_s * 2.0 ** (attempts - 1), self._policy.longest_wait_s)
        asked_for = attempt.headers.get("Retry-After", "").strip()
        if asked_for.isdigit():
            return max(wait_s, float(asked_for))
        return max(wait_s, self._policy.too_many_requests_wait_s) if attempt.status == 429 else wait_s

    def _send(self, endpoint: str, asked: Mapping[str, str], stop: float) -> _Attempt:
        left_s = max(stop - self._monotonic(), 0.001)
        try:
            with self._http.get(
                endpoint,
                params={**asked, "securityToken": self._key.reveal()},
                timeout=(min(self._policy.connect_timeout_s, left_s), min(self._policy.read_timeout_s, left_s)),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read_body(response, stop)
                if response.status_code == 200 and body.strip() and not body.rstrip().endswith(b">"):
                    return _Attempt(problem="an answer that was cut")
                return _Attempt(response.status_code, response.headers, body)
        except requests.Timeout:
            return _Attempt(problem="no answer before the time-out")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return _Attempt(problem=f"broken connection ({type(error).__name__})")

    def _without_key(self, body: bytes) -> bytes:
        """A service may echo the token in its reasons. Something too short to be a token is not searched for."""
        key = self._key.reveal().encode()
        return body.replace(key, HIDDEN.encode()) if len(key) >= _SHORTEST_TOKEN else body

    def _read_body(self, response: requests.Response, stop: float) -> bytes:
        """The whole body. Read piece by piece, because a read time-out alone never ends a body that drips."""
        pieces: list[bytes] = []
        while piece := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            pieces.append(piece)
            if self._monotonic() > stop:
                raise requests.Timeout
        return b"".join(pieces)
