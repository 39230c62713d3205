"""HTTP to ENTSO-E: the token appears nowhere, failures are retried within a deadline, and the pace is kept."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import ForecastingError, SettingError, SourceUnavailableError
from forecasting.sources.entsoe_http import PoliteSession, RetryPolicy
from forecasting.sources.rate_limit import RateLimiter
from forecasting.sources.redaction import KeyFromEnvironment, redact
from tests.forecasting.entsoe_server import TOKEN, EntsoeServer, Fault, acknowledgement, running

ASKED = {"documentType": "A44", "securityToken": "placeholder", "periodStart": "202401010000"}
FAST = RetryPolicy(read_timeout_s=0.2, deadline_s=2.0, first_wait_s=0.02, too_many_requests_wait_s=0.05)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EntsoeServer]:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        state.answer = lambda _: "<Publication_MarketDocument>ok</Publication_MarketDocument>"
        yield state


def session(server: EntsoeServer, policy: RetryPolicy = FAST, **more: object) -> PoliteSession:
    return PoliteSession(KeyFromEnvironment("ENTSOE_API_KEY"), policy=policy, endpoint=server.url, **more)  # type: ignore[arg-type]


def everything_said(error: BaseException) -> str:
    """Message, traceback with the whole chain, and every attribute of the error and its causes."""
    said, seen = "", error
    while seen is not None:
        said += repr(seen) + str(vars(seen)) + "".join(traceback.format_exception(seen))
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return said


def test_the_real_key_is_sent_and_the_answer_comes_back_without_it(server: EntsoeServer) -> None:
    answer = session(server).get("http://unused.invalid", ASKED)
    assert server.asked[0] == {**ASKED, "securityToken": TOKEN}
    assert answer.text == "<Publication_MarketDocument>ok</Publication_MarketDocument>"
    assert TOKEN not in answer.url
    assert answer.request is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(400, acknowledgement(f"bad token {TOKEN}")),
        Fault(401, acknowledgement(f"bad token {TOKEN}")),
        Fault(302, headers={"Location": f"http://elsewhere.invalid/api?securityToken={TOKEN}"}),
        Fault(503, f"<html>{TOKEN}</html>"),
        Fault(429),
        Fault(200, "<a/>", delay_s=0.4),
        Fault(200, "<a></a>", promised_bytes=500),
        Fault(200, "<a>cut"),
    ],
    ids=lambda fault: f"{fault.status}-{fault.body[:6]}",
)
def test_no_failure_shows_the_token(
    server: EntsoeServer, fault: Fault, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults = [fault] * 60
    said = ""
    try:
        answer = session(server, RetryPolicy(read_timeout_s=0.2, deadline_s=0.3, first_wait_s=0.05)).get("", ASKED)
        said += answer.text + answer.url + str(vars(answer))
        answer.raise_for_status()
    except Exception as error:
        said += everything_said(error)
    assert server.asked[0]["securityToken"] == TOKEN
    out = capfd.readouterr()
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    for text in (said, caplog.text, "".join(map(str, (r.args for r in caplog.records))), out.out, out.err):
        assert TOKEN not in text
    assert said


def test_an_unreachable_service_is_reported_without_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTSOE_API_KEY", TOKEN)
    with running() as state:
        gone = state.url
    unreachable = PoliteSession(
        KeyFromEnvironment("ENTSOE_API_KEY"), policy=RetryPolicy(deadline_s=0.2, first_wait_s=0.05), endpoint=gone
    )
    with pytest.raises(SourceUnavailableError, match=r"broken connection \(ConnectionError\)") as caught:
        unreachable.get("", ASKED)
    assert TOKEN not in everything_said(caught.value)


def test_redaction_covers_plain_quoted_and_dictionary_forms() -> None:
    assert redact("GET /api?securityToken=abc-1&x=2") == "GET /api?securityToken=[hidden]&x=2"
    assert redact("params {'securityToken': 'abc-1', 'x': 2}") == "params {'securityToken': '[hidden]', 'x': 2}"
    assert redact("key a/b%2Fc and a%2Fb", "a/b") == "key [hidden]%2Fc and [hidden]"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: EntsoeServer, status: int) -> None:
    server.faults = [Fault(status), Fault(status)]
    assert session(server).get("", ASKED).status_code == 200
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, "<a></a>", delay_s=0.5),
        Fault(200, "<a></a>", promised_bytes=500),
        Fault(200, "<a><b>1"),
    ],
    ids=["read time-out", "connection cut", "text cut"],
)
def test_a_slow_or_cut_answer_is_tried_again(server: EntsoeServer, fault: Fault) -> None:
    server.faults = [fault]
    assert session(server).get("", ASKED).text.endswith("</Publication_MarketDocument>")
    assert len(server.asked) == 2


def test_waits_double_and_retry_after_is_honoured(server: EntsoeServer) -> None:
    waits: list[float] = []
    server.faults = [Fault(503), Fault(503), Fault(503), Fault(503, headers={"retry-after": "30"}), Fault(429)]
    policy = RetryPolicy(deadline_s=600, first_wait_s=1, longest_wait_s=4, too_many_requests_wait_s=60)
    session(server, policy, sleep=waits.append).get("", ASKED)
    assert waits == [1, 2, 4, 30, 60]


def test_a_service_that_never_recovers_is_given_up_at_the_deadline(server: EntsoeServer) -> None:
    server.faults = [Fault(503)] * 1000
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=r"within 0.5 s \(\d+ attempts, last: HTTP 503\)"):
        session(server, RetryPolicy(deadline_s=0.5, first_wait_s=0.05)).get("", ASKED)
    assert time.monotonic() - began < 1.0
    assert 3 <= len(server.asked) <= 6


def test_a_body_that_drips_does_not_outlive_the_deadline(server: EntsoeServer) -> None:
    server.faults = [Fault(200, "<a>" + "x" * 200 + "</a>", drip_s=0.05)] * 5
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="no answer before the time-out"):
        session(server, RetryPolicy(read_timeout_s=0.3, deadline_s=0.6)).get("", ASKED)
    assert time.monotonic() - began < 1.5


def test_there_is_a_time_out_without_asking_for_one(monkeypatch: pytest.MonkeyPatch, server: EntsoeServer) -> None:
    seen: list[object] = []
    polite = PoliteSession(KeyFromEnvironment("ENTSOE_API_KEY"), endpoint=server.url)
    original = polite._http.get
    monkeypatch.setattr(polite._http, "get", lambda *a, **k: (seen.append(k["timeout"]), original(*a, **k))[1])
    polite.get("", ASKED)
    assert seen == [(10.0, 60.0)]


def test_a_bad_request_is_not_repeated(server: EntsoeServer) -> None:
    server.faults = [Fault(400, acknowledgement("no"))]
    assert session(server).get("", ASKED).status_code == 400
    assert len(server.asked) == 1


def test_a_refused_token_names_the_variable_to_check(server: EntsoeServer) -> None:
    server.answer = None
    with pytest.raises(SourceUnavailableError, match=r"refused the security token.*ENTSOE_API_KEY"):
        PoliteSession(_OtherKey("ENTSOE_API_KEY"), policy=FAST, endpoint=server.url).get("", ASKED)
    assert len(server.asked) == 1


class _OtherKey(KeyFromEnvironment):
    def reveal(self) -> str:
        return "not-the-right-token-at-all"


def test_a_redirection_is_not_followed(server: EntsoeServer) -> None:
    with running() as elsewhere:
        server.faults = [Fault(307, headers={"Location": elsewhere.url})]
        with pytest.raises(SourceUnavailableError, match=r"redirects to 127\.0\.0\.1; the token is not sent there"):
            session(server).get("", ASKED)
        assert elsewhere.asked == []


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_one_clear_line(
    server: EntsoeServer, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("ENTSOE_API_KEY") if value is None else monkeypatch.setenv("ENTSOE_API_KEY", value)
    with pytest.raises(SettingError, match="no API key: set the environment variable ENTSOE_API_KEY") as caught:
        session(server).get("", ASKED)
    assert "\n" not in str(caught.value)
    assert server.asked == []


def test_the_endpoint_variable_is_read_at_each_request(server: EntsoeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    polite = PoliteSession(KeyFromEnvironment("ENTSOE_API_KEY"), policy=FAST)
    monkeypatch.setenv("ENTSOE_ENDPOINT_URL", server.url)
    assert polite.get("http://unused.invalid", ASKED).status_code == 200
    with pytest.raises(SettingError, match="no web address: 'ftp://x'"):
        PoliteSession(KeyFromEnvironment("ENTSOE_API_KEY"), endpoint="ftp://x").get("", ASKED)


def test_text_without_a_charset_is_utf_8(server: EntsoeServer) -> None:
    server.answer = lambda _: "<name>Žďár nad Sázavou, Sønderjylland</name>"
    assert session(server).get("", ASKED).text == "<name>Žďár nad Sázavou, Sønderjylland</name>"


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(SettingError, match="deadline_s must be a positive"):
        RetryPolicy(deadline_s=0)
    with pytest.raises(SettingError, match="limit >= 1"):
        RateLimiter(0)


class Clock:
    """A clock that only moves when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    limit=st.integers(1, 6),
    work_s=st.lists(st.floats(0, 40), min_size=1, max_size=40),
)
def test_no_window_holds_more_than_the_limit(limit: int, work_s: list[float]) -> None:
    clock = Clock()
    limiter = RateLimiter(limit, 60.0, monotonic=clock.monotonic, sleep=clock.sleep)
    passed: list[float] = []
    for seconds in work_s:
        limiter.wait()
        passed.append(clock.now)
        clock.now += seconds
    for first, beyond in zip(passed, passed[limit:], strict=False):
        assert beyond - first >= 60.0 - 1e-6


def test_four_hundred_requests_pass_at_once_and_the_next_waits_a_minute() -> None:
    clock = Clock()
    limiter = RateLimiter(400, monotonic=clock.monotonic, sleep=clock.sleep)
    assert sum(limiter.wait() for _ in range(400)) == 0.0
    assert limiter.wait() == pytest.approx(60.0)


def test_retries_count_towards_the_pace(server: EntsoeServer) -> None:
    clock = Clock()
    limiter = RateLimiter(2, monotonic=clock.monotonic, sleep=clock.sleep)
    server.faults = [Fault(503), Fault(503)]
    session(server, limiter=limiter, sleep=lambda _: None).get("", ASKED)
    assert clock.now == pytest.approx(1060.0)


def test_every_error_is_one_of_the_package(server: EntsoeServer) -> None:
    server.faults = [Fault(200, "<a>cut")] * 100
    with pytest.raises(ForecastingError):
        session(server, RetryPolicy(deadline_s=0.1, first_wait_s=0.05)).get("", ASKED)
