"""A microgrid as a service of its own: tariffs in, exchange out, nothing else leaves it.

The operator's black-box methods need no more than this (Chen et al. 2024, section 4: the model "does not need all the
parameters of the microgrid"). A microgrid's owner runs, with the token in an environment variable::

    MICROGRID_TOKEN=... python -m dispatch.microgrid_service my_case.yaml mg1 --port 8101

``POST /respond`` with ``{"buy_per_mwh": [...], "sell_per_mwh": [...]}`` and ``Authorization: Bearer TOKEN`` answers
``{"exchange_mw": [...]}``. Without the token it answers 401, for tariffs it cannot read 400, beyond its rate 429 with the
seconds to wait in ``Retry-After``.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import requests
from numpy.typing import NDArray

from dispatch.assets.price_taker import PriceTaker
from dispatch.assets.turbine_commitment import responder
from dispatch.errors import CaseError, DispatchError, SolverError
from dispatch.markets.microgrids_inputs import price_taker

FloatArray = NDArray[np.float64]

TOKEN_VARIABLE = "MICROGRID_TOKEN"
LARGEST_BODY = 1_000_000


class RateLimit:
    """At most ``per_second`` requests on average, ``burst`` at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self.per_second, self.burst = per_second, burst
        self._left, self._last = float(burst), time.monotonic()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Takes one request; zero if it may pass, else the seconds until one may."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self.burst, self._left + (now - self._last) * self.per_second)
            self._last = now
            if self._left >= 1.0:
                self._left -= 1.0
                return 0.0
            return (1.0 - self._left) / self.per_second


def serve(
    grid: PriceTaker,
    token: str,
    port: int = 0,
    per_second: float = 50.0,
    burst: int = 100,
    host: str = "127.0.0.1",
) -> ThreadingHTTPServer:
    """A server that answers for one microgrid; call ``serve_forever`` on it. Port 0 picks a free one.

    Raises
    ------
    SolverError
        If the token is empty: an open microgrid would tell anybody how it answers.
    """
    if not token:
        raise SolverError(f"a microgrid service needs a token; set the environment variable {TOKEN_VARIABLE}")
    program, lock, rate = responder(grid), threading.Lock(), RateLimit(per_second, burst)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self._body()
            if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
                self._reply(401, {"error": "missing or wrong token"})
                return
            wait = rate.wait_s()
            if wait > 0:
                self._reply(429, {"error": "too many requests"}, {"Retry-After": f"{wait:.3f}"})
                return
            if self.path != "/respond" or body is None:
                self._reply(404 if body is not None else 413, {"error": "only POST /respond"})
                return
            try:
                buy, sell = _tariffs(body, grid.steps)
                with lock:
                    exchange = program.respond(buy, sell).exchange
            except (ValueError, SolverError) as error:
                self._reply(400, {"error": str(error)})
                return
            self._reply(200, {"exchange_mw": exchange.tolist()})

        def _body(self) -> bytes | None:
            length = int(self.headers.get("Content-Length") or 0)
            return self.rfile.read(length) if length <= LARGEST_BODY else None

        def _reply(self, status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: a log of tariffs would be kept by nobody."""

    return ThreadingHTTPServer((host, port), Handler)


def _tariffs(body: bytes, steps: int) -> tuple[FloatArray, FloatArray]:
    """Two finite series of ``steps`` values with sell not above buy.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    data = json.loads(body)
    if not isinstance(data, dict) or not {"buy_per_mwh", "sell_per_mwh"} <= set(data):
        raise ValueError("give buy_per_mwh and sell_per_mwh")
    buy, sell = (np.asarray(data[key], dtype=float) for key in ("buy_per_mwh", "sell_per_mwh"))
    if buy.shape != (steps,) or sell.shape != (steps,):
        raise ValueError(f"give {steps} values of each tariff")
    if not (np.isfinite(buy).all() and np.isfinite(sell).all()):
        raise ValueError("a tariff is not a finite number")
    if (sell > buy + 1e-9 * np.maximum(1.0, np.abs(buy))).any():
        raise ValueError("a sell tariff is above the buy tariff")
    return buy, sell


class RemoteMicrogrid:
    """Asks one microgrid's service.

    timeout_s: of one request; patience_s: how long requests that are refused for their rate are repeated.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 10.0, patience_s: float = 60.0) -> None:
        self.url, self.timeout_s, self.patience_s = url.rstrip("/"), timeout_s, patience_s
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def respond(self, buy: FloatArray, sell: FloatArray) -> FloatArray:
        """Exchange ``[T]``, MW, at tariffs ``[T]``, currency/MWh.

        Raises
        ------
        SolverError
            If the service cannot be reached, refuses, or answers with something else.
        """
        content = {"buy_per_mwh": buy.tolist(), "sell_per_mwh": sell.tolist()}
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                answer = self._session.post(f"{self.url}/respond", json=content, timeout=self.timeout_s)
            except requests.RequestException as error:
                raise SolverError(f"microgrid at {self.url} cannot be reached: {error}") from error
            if answer.status_code != 429 or time.monotonic() > deadline:
                break
            time.sleep(min(max(float(answer.headers.get("Retry-After", 1.0)), 0.0), 10.0))
        if answer.status_code != 200:
            raise SolverError(f"microgrid at {self.url} refused ({answer.status_code}): {answer.text[:200]}")
        exchange = np.asarray(answer.json().get("exchange_mw"), dtype=float)
        if exchange.shape != buy.shape or not np.isfinite(exchange).all():
            raise SolverError(f"microgrid at {self.url} answered with {exchange.shape} values instead of {buy.shape}")
        return exchange


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve one microgrid of a case file until interrupted."""
    from dispatch.case import load_case
    from dispatch.case_microgrids import MicrogridsCase

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", help="case file or name; only this microgrid's own section is used")
    parser.add_argument("microgrid", help="id of the microgrid")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8101)
    parser.add_argument("--per-second", type=float, default=50.0, help="requests answered per second on average")
    given = parser.parse_args(arguments)
    case = load_case(given.case, "microgrids")
    assert isinstance(case, MicrogridsCase)
    found = {grid.id: grid for grid in case.microgrids}
    if given.microgrid not in found:
        raise CaseError(case.name, [f"no microgrid '{given.microgrid}'; this case has {list(found)}"])
    grid = price_taker(case, found[given.microgrid])
    token = os.environ.get(TOKEN_VARIABLE, "")
    server = serve(grid, token, given.port, given.per_second, host=given.host)
    print(f"microgrid {grid.name} answers at http://{given.host}:{server.server_port}/respond", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    try:
        main()
    except DispatchError as fault:
        sys.exit(f"microgrid_service: {fault}")
