"""From a case and its schedule to what is settled: assets that still move, and a plan that no longer does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dispatch.case_adno import AdnoCase
from dispatch.case_inputs import AdnoInputs, adno_inputs, feeder_of
from dispatch.errors import DispatchError
from dispatch.network.power_flow import solve_power_flow
from dispatch.schedule import Schedule
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets


def recourse_assets(case: AdnoCase, loss_share: float = 0.0) -> RecourseAssets:
    """What can still move in real time, and at which prices; ``loss_share`` as ``planned_loss_share`` gives it."""
    gas, storage, hours = case.gas, case.storage, case.step_hours

    def each(values: Sequence[float]) -> FloatArray:
        return np.array(values, dtype=float).reshape(len(values))

    end_min = [unit.energy_min_mwh if unit.energy_end == "free" else unit.energy_start_mwh for unit in storage]
    end_max = [unit.energy_start_mwh if unit.energy_end == "equal" else unit.energy_max_mwh for unit in storage]
    return RecourseAssets(
        gas_min_mw=each([unit.power_min_mw for unit in gas]),
        gas_max_mw=each([unit.power_max_mw for unit in gas]),
        gas_cost_per_mwh=each([unit.cost_per_mwh for unit in gas]),
        gas_start_cost=each([unit.start_cost for unit in gas]),
        gas_ramp_up_mw=each([_ramp(unit.ramp_up_mw_per_hour, hours, unit.power_max_mw) for unit in gas]),
        gas_ramp_down_mw=each([_ramp(unit.ramp_down_mw_per_hour, hours, unit.power_max_mw) for unit in gas]),
        gas_initial_mw=each([unit.initial_power_mw for unit in gas]),
        gas_initial_on=each([float(unit.initially_on) for unit in gas]),
        storage_charge_mw=each([unit.charge_max_mw for unit in storage]),
        storage_discharge_mw=each([unit.discharge_max_mw for unit in storage]),
        storage_min_mwh=each([unit.energy_min_mwh for unit in storage]),
        storage_max_mwh=each([unit.energy_max_mwh for unit in storage]),
        storage_start_mwh=each([unit.energy_start_mwh for unit in storage]),
        storage_end_min_mwh=each(end_min),
        storage_end_max_mwh=each(end_max),
        storage_efficiency_in=each([unit.charge_efficiency for unit in storage]),
        storage_efficiency_out=each([unit.discharge_efficiency for unit in storage]),
        storage_wear_per_mwh=each([unit.wear_per_mwh for unit in storage]),
        storage_loss_per_step=each([unit.self_discharge_per_hour * hours for unit in storage]),
        imbalance_plus=case.imbalance.buy_markup,
        imbalance_minus=case.imbalance.sell_discount,
        shed_cost_per_mwh=case.imbalance.lost_load_per_mwh,
        curtailment_cost_per_mwh=case.curtailment_price_per_mwh,
        import_max_mw=float("inf") if case.import_max_mw is None else case.import_max_mw,
        loss_share=loss_share,
        step_hours=hours,
    )


def _ramp(per_hour: float | None, hours: float, most: float) -> float:
    """Change from step to step; no limit where a whole swing fits in one step."""
    if per_hour is None or per_hour * hours >= most:
        return float("inf")
    return per_hour * hours


def first_stage(case: AdnoCase, schedule: Schedule, loss_share: float = 0.0) -> FirstStage:
    """What a schedule of ``case`` decides for good: commitment, day-ahead exchange, subsidies and their response.

    Losses are those of the schedule: ``loss_share`` of them follows the rigid load that comes true, the rest stays. Storage
    is where recourse begins and may be planned anew; subsidies, starts and the income from flexible demand are fixed.

    Raises
    ------
    DispatchError
        If the schedule is of another market or another number of steps.
    """
    if schedule.market != "adno" or len(schedule.index) != case.steps:
        raise DispatchError(
            f"case {case.name} has {case.steps} steps of market adno; the schedule has {len(schedule.index)} of "
            f"{schedule.market}: settle a schedule on the case that it was solved for"
        )
    inputs, hours = adno_inputs(case), case.step_hours
    flexible = schedule.wide("flexible_mw", "customer").to_numpy()
    rigid = inputs.rigid_mw.sum(axis=1)
    exchange = schedule.wide("import_mw", "grid").to_numpy()[:, 0]
    losses = (
        schedule.wide("loss_mw", "line").to_numpy().sum(axis=1) if case.network is not None else np.zeros(case.steps)
    )
    starts = _by_asset(schedule, "start", [unit.id for unit in case.gas], case.steps)
    money = schedule.money["operator"]
    return FirstStage(
        purchase_mw=exchange,
        commitment=np.round(_by_asset(schedule, "on", [unit.id for unit in case.gas], case.steps)),
        flexible_mw=flexible.sum(axis=1),
        losses_mw=losses - loss_share * rigid,
        charge_mw=_by_asset(schedule, "charge_mw", [unit.id for unit in case.storage], case.steps),
        discharge_mw=_by_asset(schedule, "discharge_mw", [unit.id for unit in case.storage], case.steps),
        start_cost=float(sum(unit.start_cost * starts[i].sum() for i, unit in enumerate(case.gas))),
        subsidy_cost=-float(money["subsidy"]),
        flexible_income=float((inputs.retail_price * flexible).sum() * hours),
        income_per_mwh=rigid_price(inputs),
        sale_fee=float(case.export.fee_per_mwh * np.clip(-exchange, 0.0, None).sum() * hours),
    )


def rigid_price(inputs: AdnoInputs) -> FloatArray:
    """Retail price of the average MWh of rigid load, ``[T]``."""
    total = inputs.rigid_mw.sum(axis=1)
    weighted = (inputs.retail_price * inputs.rigid_mw).sum(axis=1)
    price: FloatArray = np.divide(weighted, total, out=inputs.retail_price.mean(axis=1), where=total > 0)
    return price


def _by_asset(schedule: Schedule, quantity: str, ids: Sequence[str], steps: int) -> FloatArray:
    if not ids:
        return np.zeros((0, steps))
    return np.asarray(schedule.wide(quantity)[list(ids)].to_numpy().T, dtype=float)


def case_forecast(case: AdnoCase) -> Realisations:
    """The day that the case describes, as one realisation: what a perfect forecast of it would say."""
    inputs = adno_inputs(case)
    return Realisations.single(inputs.spot_price, inputs.wind_mw.sum(axis=0), inputs.rigid_mw.sum(axis=1))


def planned_loss_share(case: AdnoCase) -> float:
    """Losses of the feeder over its load on the case's day, from an AC power flow; 0 without a network.

    The flow is that of rigid load and of the flexible demand that needs no subsidy, less the wind that blows: the state
    around which plans move. Local gas lowers it and subsidised demand raises it.
    """
    if case.network is None:
        return 0.0
    inputs, feeder = adno_inputs(case), feeder_of(case.network)
    free = np.clip(inputs.flexible_free_mw, 0.0, None)
    p = np.zeros((inputs.steps, len(feeder.bus_ids)))
    q = np.zeros_like(p)
    for j, bus in enumerate(inputs.customer_buses):
        p[:, feeder.position[bus]] += inputs.rigid_mw[:, j] + free[:, j]
        q[:, feeder.position[bus]] += inputs.rigid_mvar[:, j] + inputs.flexible_mvar_per_mw[:, j] * free[:, j]
    load = p.sum()
    for v, farm in enumerate(case.wind):
        p[:, feeder.position[farm.bus]] -= inputs.wind_mw[v]
    flow = solve_power_flow(feeder, p, q, case.network.root_voltage_pu)
    return float(flow.loss_mw.sum() / load) if load > 0 else 0.0
