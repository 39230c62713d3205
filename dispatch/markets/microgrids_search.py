"""Tariffs found by asking: ``kriging``, ``pso`` and ``ga`` see what the microgrids exchange and nothing else of them."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from dispatch.assets.turbine_commitment import Responder, responder
from dispatch.case_microgrids import MicrogridsCase
from dispatch.errors import OptionError
from dispatch.markets.microgrids_inputs import MarketInputs
from dispatch.surrogate.direct import direct_search
from dispatch.surrogate.paper_loop import PaperKrigingSearch
from dispatch.surrogate.record import CallRecord, Respond
from dispatch.surrogate.tariffs import TariffSpace
from dispatch.surrogate.trust_region import KrigingSearch

FloatArray = NDArray[np.float64]


def search(case: MicrogridsCase, inputs: MarketInputs, method: str, seed: int) -> CallRecord:
    """Up to ``case.search.calls`` true answers of all microgrids, and the best tariffs among them."""
    space = TariffSpace(inputs.feed_in, inputs.grid_buy)
    record = CallRecord(space, respondent(case, inputs), inputs.profits, case.search.calls)
    if method == "kriging" and case.search.kriging == "paper":
        PaperKrigingSearch(record, seed).run()
    elif method == "kriging":
        KrigingSearch(record, seed).run()
    elif method == "pso":
        direct_search(record, "pso", seed)
    else:
        direct_search(record, "ga", seed)
    return record


def respondent(case: MicrogridsCase, inputs: MarketInputs) -> Respond:
    """Answers ``[J, T]`` of the microgrids' services where the case names them, else of their own programs in this process.

    Raises
    ------
    OptionError
        If the environment variable that should hold a service's token is not set.
    """
    services = {service.microgrid: service for service in case.search.services}
    asked = []
    for grid in inputs.grids:
        if grid.name not in services:
            asked.append(_in_process(responder(grid)))
            continue
        from dispatch.microgrid_service import RemoteMicrogrid

        service = services[grid.name]
        token = os.environ.get(service.token_variable)
        if not token:
            raise OptionError(f"search.services: environment variable {service.token_variable} is not set")
        asked.append(RemoteMicrogrid(service.url, token).respond)

    def respond(buy: FloatArray, sell: FloatArray) -> FloatArray:
        return np.stack([ask(buy, sell) for ask in asked])

    return respond


def _in_process(program: Responder) -> Respond:
    def respond(buy: FloatArray, sell: FloatArray) -> FloatArray:
        return program.respond(buy, sell).exchange

    return respond
