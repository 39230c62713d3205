"""What a page needs from a case beside its schedule: the feeder, the marks on its map, and the voltage limits."""

from __future__ import annotations

from typing import Any, TypedDict

from dispatch.case import Case
from dispatch.schedule import Schedule
from pipelines.report.schedule_view import assets_of


class NetworkView(TypedDict):
    """Arguments of the page builders about the network."""

    feeder: Any | None
    assets: list[tuple[str, str, str]]
    voltage_limits_pu: tuple[float, float] | None


def network_view(case: Case, schedule: Schedule) -> NetworkView:
    """Feeder, marked assets and voltage limits of ``case``; empty for a market without a network."""
    network = getattr(case, "network", None)
    if network is None:
        return {"feeder": None, "assets": [], "voltage_limits_pu": None}
    from dispatch.case_inputs import feeder_of

    scheduled = set(schedule.table["asset"])
    return {
        "feeder": feeder_of(network),
        "assets": [asset for asset in assets_of(case) if asset[1] != "converter" or asset[0] in scheduled],
        "voltage_limits_pu": (network.voltage_min_pu, network.voltage_max_pu),
    }
