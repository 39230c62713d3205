"""Plan the day ahead on scenarios: commitment, purchase and subsidies first, everything else once the day is known.

With one scenario this is the deterministic plan on a forecast, so that both kinds of plan answer the same problem, and the
plan on the truth is the best that can be settled.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from dispatch.errors import SolverError
from dispatch.settlement.linear_program import add_storage
from dispatch.settlement.problem import FirstStage, FloatArray, Realisations, RecourseAssets
from dispatch.settlement.response import Response
from dispatch.settlement.sparse_model import HAS_SOLUTION, Index, SparseModel, run

#: Rounds of tangents to the cost of subsidies before the plan is given out with the gap that is left.
MOST_ROUNDS = 30


@dataclass(frozen=True)
class Sale:
    """Day-ahead sale to the grid at the spot price less a fee; ``max_mw`` is zero where none is allowed."""

    max_mw: float = 0.0
    fee_per_mwh: float = 0.0


@dataclass(frozen=True)
class Risk:
    """``(1 - weight) E[profit] + weight CVaR[profit]``; the CVaR is the mean of the worst ``1 - level`` of profits."""

    weight: float = 0.0
    level: float = 0.9


@dataclass(frozen=True)
class PlanOptions:
    """Relative gap and time limit of one mixed-integer solve, and the seed of the solver."""

    gap: float = 1e-7
    time_limit_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TwoStagePlan:
    """A plan, what it promises on its scenarios (expected profit weighed with CVaR), the proven bound, and the rounds."""

    first: FirstStage
    objective: float
    bound: float
    rounds: int


def plan_on_scenarios(
    assets: RecourseAssets,
    response: Response,
    income_per_mwh: FloatArray,
    scenarios: Realisations,
    probability: FloatArray | None = None,
    *,
    sale: Sale | None = None,
    risk: Risk | None = None,
    options: PlanOptions | None = None,
) -> TwoStagePlan:
    """The best first stage on weighted scenarios, without a network (``loss_share`` stands for its losses).

    The quadratic cost of subsidies enters by tangents: at the demands that are optimal where energy is worth one of the
    scenario's prices or a unit's cost, then, round by round, at the demands found.

    Raises
    ------
    SolverError
        If no plan was found in time.
    """
    weights = np.full(len(scenarios), 1.0 / len(scenarios)) if probability is None else probability
    form = _ExtensiveForm(assets, response, income_per_mwh, scenarios, weights, sale or Sale(), risk or Risk())
    return form.solve(options or PlanOptions())


class _ExtensiveForm:
    """Columns of the first stage, and one block of recourse for each scenario; minimises the negative of profit."""

    def __init__(
        self,
        assets: RecourseAssets,
        response: Response,
        income: FloatArray,
        days: Realisations,
        weights: FloatArray,
        sale: Sale,
        risk: Risk,
    ) -> None:
        self.assets, self.response, self.income, self.days = assets, response, income, days
        self.sale, self.risk, self.weights = sale, risk, weights
        self.model = SparseModel()
        self._costs: list[tuple[int | None, Index, FloatArray]] = []  # scenario (None: all), columns, coefficients
        self._declare_first_stage()
        self.storage = [self._declare_recourse(n) for n in range(len(days))]
        self._declare_objective()

    def _declare_first_stage(self) -> None:
        assets, model, T, hours = self.assets, self.model, self.days.steps, self.assets.step_hours
        units, width = assets.gas_units, self.response.width_mw
        self.on = model.columns((units, T), upper=1.0, integer=True)
        self.start = self._column((units, T), None, assets.gas_start_cost[:, None], upper=1.0)
        starts = model.rows((units, T), 0.0, np.inf)
        model.terms(starts, self.start, 1.0)
        model.terms(starts, self.on, -1.0)
        model.terms(starts[:, 1:], self.on[:, :-1], 1.0)
        self._initially_on(starts)
        self.added = self._column(
            width.shape, None, (self.response.cost_per_mwh - self.response.retail_per_mwh) * hours, upper=width
        )
        self.bent = self._column(width.shape, None, np.where(self.response.slope > 0, hours, 0.0))
        most_used = (self.days.load_mw.max(axis=0) + self.response.demand(width)) * (1 + assets.loss_share)
        most_used = np.maximum(most_used, 0.0) + assets.storage_charge_mw.sum()
        expected = self.weights @ self.days.price_per_mwh * hours
        fee, certain = self.sale.fee_per_mwh * hours, 1.0 - self.risk.weight
        most_bought = np.minimum(most_used, assets.import_max_mw)
        self.purchase = model.columns((T,), upper=most_bought, cost=certain * expected)
        self.sold = model.columns((T,), upper=self.sale.max_mw, cost=certain * (fee - expected))
        self._costs.append((None, self.sold, np.full(T, fee)))

    def _initially_on(self, starts: Index) -> None:
        """``w_1 >= z_1 - z_0``: a column fixed at the state before the first step."""
        before = self.model.columns((self.assets.gas_units,), self.assets.gas_initial_on, self.assets.gas_initial_on)
        self.model.terms(starts[:, 0], before, 1.0)
        self.before = before

    def _column(
        self, shape: tuple[int, ...], scenario: int | None, cost: FloatArray | float, upper: FloatArray | float = np.inf
    ) -> Index:
        """Columns whose cost counts in the profit of one scenario, or of all."""
        weight = (1.0 - self.risk.weight) * (1.0 if scenario is None else float(self.weights[scenario]))
        coefficients = np.broadcast_to(np.asarray(cost, dtype=float), shape)
        columns = self.model.columns(shape, upper=upper, cost=weight * coefficients)
        self._costs.append((scenario, columns, coefficients))
        return columns

    def _declare_recourse(self, n: int) -> tuple[Index, Index]:
        assets, model, T, hours = self.assets, self.model, self.days.steps, self.assets.step_hours
        price, wind, load = self.days.price_per_mwh[n], self.days.wind_mw[n], self.days.load_mw[n]
        weight = (1.0 - self.risk.weight) * float(self.weights[n])
        buy_price, sell_price = assets.imbalance_prices(price)
        gas = self._column((assets.gas_units, T), n, assets.gas_cost_per_mwh[:, None] * hours)
        burning_pays = bool((price < 0).any())
        charge, discharge, _ = add_storage(model, assets, T, weight, exclusive=burning_pays)
        wear = assets.storage_wear_per_mwh[:, None] * hours * np.ones(T)
        self._costs.append((n, charge, wear * assets.storage_efficiency_in[:, None]))
        self._costs.append((n, discharge, wear / assets.storage_efficiency_out[:, None]))
        buy = self._column((T,), n, buy_price * hours)
        sell = self._column((T,), n, -sell_price * hours)
        curtail = self._column((T,), n, assets.curtailment_cost_per_mwh * hours, upper=wind)
        most_shed = load + self.response.demand(self.response.width_mw)
        shed = self._column((T,), n, (assets.shed_cost_per_mwh + self.income) * hours, upper=most_shed)
        losses = 1.0 + assets.loss_share
        need = (load + self.response.base_mw.sum(axis=-1)) * losses - wind
        balance = model.rows((T,), need, need)
        for columns, sign in ((gas, 1.0), (discharge, 1.0), (charge, -1.0), (self.added.T, -losses)):
            model.terms(np.broadcast_to(balance, columns.shape), columns, sign)
        exchange = ((buy, 1.0), (sell, -1.0), (shed, 1.0), (curtail, -1.0), (self.purchase, 1.0), (self.sold, -1.0))
        for columns, sign in exchange:
            model.terms(balance, columns, sign)
        for columns, sign in ((self.purchase, 1.0), (self.sold, -1.0)):
            self._costs.append((n, columns, sign * price * hours))
        served = model.rows((T,), -np.inf, load + self.response.base_mw.sum(axis=-1))
        model.terms(served, shed, 1.0)
        model.terms(np.broadcast_to(served, self.added.T.shape), self.added.T, -1.0)
        if np.isfinite(assets.import_max_mw):
            imports = model.rows((T,), -np.inf, assets.import_max_mw)
            for columns, sign in ((buy, 1.0), (self.purchase, 1.0), (self.sold, -1.0)):
                model.terms(imports, columns, sign)
        self._declare_gas_limits(gas)
        return charge, discharge

    def _declare_gas_limits(self, gas: Index) -> None:
        """Output between the limits of a committed unit, and ramps that let it start and stop."""
        assets, model = self.assets, self.model
        low, top = model.rows(gas.shape, 0.0, np.inf), model.rows(gas.shape, -np.inf, 0.0)
        for rows, limit in ((low, assets.gas_min_mw), (top, assets.gas_max_mw)):
            model.terms(rows, gas, 1.0)
            model.terms(rows, self.on, -limit[:, None])
        before = np.concatenate([self.before[:, None], self.on[:, :-1]], axis=1)
        output = np.zeros(gas.shape)
        output[:, 0] = assets.gas_initial_mw
        for ramp, sign, running in (
            (assets.gas_ramp_up_mw, 1.0, before),
            (assets.gas_ramp_down_mw, -1.0, self.on),
        ):
            units = np.flatnonzero(np.isfinite(ramp))
            jump = np.maximum(ramp, assets.gas_min_mw)[units, None]
            rows = model.rows((len(units), gas.shape[1]), -np.inf, jump + sign * output[units])
            model.terms(rows, gas[units], sign)
            model.terms(rows[:, 1:], gas[units, :-1], -sign)
            model.terms(rows, running[units], jump - ramp[units, None])

    def _declare_objective(self) -> None:
        """The tail of profits, where it has a weight."""
        if not self.risk.weight:
            return
        model, share = self.model, self.risk.weight / (1.0 - self.risk.level)
        threshold = model.columns((1,), lower=-np.inf, cost=-self.risk.weight)
        below = model.columns((len(self.days),), cost=share * self.weights)
        constant = self.constants()
        rows = model.rows((len(self.days),), -constant, np.inf)  # below_n >= threshold - profit_n
        model.terms(rows, below, 1.0)
        model.terms(rows, np.repeat(threshold, len(self.days)), -1.0)
        for scenario, columns, coefficients in self._costs:
            for n in range(len(self.days)) if scenario is None else [scenario]:
                model.terms(np.full(columns.shape, rows[n]), columns, -coefficients)

    def constants(self) -> FloatArray:
        """Income of each scenario that no decision changes, ``[N]``."""
        base = (self.response.retail_per_mwh * self.response.base_mw).sum()
        constant: FloatArray = (self.days.load_mw @ self.income + base) * self.assets.step_hours
        return constant

    def solve(self, options: PlanOptions) -> TwoStagePlan:
        """Mixed-integer rounds with tangents to the cost of subsidies; each commitment found is priced exactly."""
        model = self.model.build(presolve=True, mip_rel_gap=options.gap, random_seed=options.seed)
        for added in self._first_tangents():
            self._add_tangents(model, added)
        best, bound, kept = -np.inf, np.inf, np.zeros(0)
        constant = (1.0 - self.risk.weight) * float(self.weights @ self.constants())
        rounds = 0
        while rounds < MOST_ROUNDS:
            rounds += 1
            run(model, options.time_limit_s)
            info, status = model.getInfo(), model.getModelStatus()
            if info.primal_solution_status != HAS_SOLUTION:
                raise SolverError(f"no day-ahead plan: {model.modelStatusToString(status)}; allow more time")
            bound = min(bound, constant - float(info.mip_dual_bound))
            solution = np.array(model.getSolution().col_value)
            for candidate in (solution, self._polished(solution)):
                worth = self.worth(candidate)
                if worth > best:
                    best, kept = worth, candidate
                self._add_tangents(model, candidate[self.added])
            if bound - best <= options.gap * max(1.0, abs(best)) or status != highspy.HighsModelStatus.kOptimal:
                break
        return TwoStagePlan(self._first_stage(kept), best, bound, rounds)

    def worth(self, solution: FloatArray) -> float:
        """Expected profit weighed with its tail, the cost of subsidies taken exactly."""
        profit = self.constants()
        exact = solution.copy()
        exact[self.bent] = 0.5 * self.response.slope * solution[self.added] ** 2
        for scenario, columns, coefficients in self._costs:
            profit[slice(None) if scenario is None else scenario] -= float((coefficients * exact[columns]).sum())
        mean = float(self.weights @ profit)
        if not self.risk.weight:
            return mean
        return (1.0 - self.risk.weight) * mean + self.risk.weight * tail_mean(profit, self.weights, self.risk.level)

    def _polished(self, solution: FloatArray) -> FloatArray:
        """The best of everything continuous at the integers of ``solution``, by the convex quadratic programme.

        Only for a single scenario: tangents alone stall between two kinks there, and many scenarios make the quadratic
        programme slow where a gap is left open anyway.
        """
        if len(self.days) > 1 or not (self.response.slope > 0).any():
            return solution
        model = self.model.build(presolve=False, integers=False)
        integer = self.model.integer.astype(np.int32)
        fixed = np.round(solution[integer])
        model.changeColsBounds(len(integer), integer, fixed, fixed)
        bent = self.bent.ravel().astype(np.int32)
        model.changeColsCost(len(bent), bent, np.zeros(len(bent)))
        hessian = highspy.HighsHessian()
        hessian.dim_ = self.model.column_count
        hessian.format_ = highspy.HessianFormat.kTriangular
        curvature = np.zeros(self.model.column_count)
        curvature[self.added] = self.response.slope * self.assets.step_hours
        places = np.flatnonzero(curvature)
        hessian.start_ = np.searchsorted(places, np.arange(self.model.column_count + 1))
        hessian.index_, hessian.value_ = places, curvature[places]
        model.passHessian(hessian)
        run(model)
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return solution
        return np.array(model.getSolution().col_value)

    def _first_tangents(self) -> list[FloatArray]:
        """Demands that are best where energy is worth a price that can occur."""
        assets, losses = self.assets, 1.0 + self.assets.loss_share
        values = [self.weights @ self.days.price_per_mwh]
        for path in (self.days.price_per_mwh.min(axis=0), self.days.price_per_mwh.max(axis=0)):
            values += [path, *assets.imbalance_prices(path)]
        values += [np.full(self.days.steps, cost) for cost in (0.0, *sorted(set(assets.gas_cost_per_mwh.tolist())))]
        found = [self.response.best(value * losses) for value in values]
        return [*found, *(share * self.response.width_mw for share in (0.25, 0.5, 0.75, 1.0))]

    def _add_tangents(self, model: highspy.Highs, at: FloatArray) -> None:
        """``bent >= slope at x - slope at^2 / 2`` for every segment with a slope."""
        bent = np.flatnonzero((self.response.slope > 0) & (self.response.width_mw > 0))
        slope, point = self.response.slope.ravel()[bent], np.clip(at, 0.0, self.response.width_mw).ravel()[bent]
        index = np.stack([self.bent.ravel()[bent], self.added.ravel()[bent]], axis=1).ravel().astype(np.int32)
        value = np.stack([np.ones(len(bent)), -slope * point], axis=1).ravel()
        starts = np.arange(0, 2 * len(bent), 2, dtype=np.int32)
        top = np.full(len(bent), np.inf)
        model.addRows(len(bent), -0.5 * slope * point**2, top, len(index), starts, index, value)

    def _first_stage(self, solution: FloatArray) -> FirstStage:
        assets, response, hours = self.assets, self.response, self.assets.step_hours
        added = np.clip(solution[self.added], 0.0, response.width_mw)
        flexible = response.demand(added)
        on = np.round(solution[self.on])
        before = np.concatenate([assets.gas_initial_on[:, None], on[:, :-1]], axis=1)
        charge, discharge = self.storage[0]
        sold = solution[self.sold]
        return FirstStage(
            purchase_mw=solution[self.purchase] - sold,
            commitment=on,
            flexible_mw=flexible,
            losses_mw=assets.loss_share * flexible,
            charge_mw=solution[charge],
            discharge_mw=solution[discharge],
            start_cost=float(assets.gas_start_cost @ np.clip(on - before, 0, None).sum(axis=1)),
            subsidy_cost=float(response.subsidy(added).sum() * hours),
            flexible_income=float(response.income(added).sum() * hours),
            income_per_mwh=self.income,
            sale_fee=float(self.sale.fee_per_mwh * sold.sum() * hours),
        )


def tail_mean(profit: FloatArray, weights: FloatArray, level: float) -> float:
    """Conditional value at risk of profits: the mean of the worst ``1 - level`` of them by weight."""
    order = np.argsort(profit)
    taken = np.clip((1.0 - level) - (np.cumsum(weights[order]) - weights[order]), 0.0, weights[order])
    return float(taken @ profit[order] / taken.sum())
