"""Every night a challenger: the champion warm-started on the newest days, or refitted. The better one on delivered days serves.

Both forecast each delivery day before it comes, and are compared when it has come: no day counts that either could have
learned from. A champion that was promoted is compared with the one before it in the same way, and gives way if it is worse.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecasting
from forecasting.backtesting import WarmStarting
from forecasting.contest import Comparison, Margin
from forecasting.errors import StorageError
from forecasting.models.base import Forecaster
from forecasting.samples import DayAheadSamples
from forecasting.store import Store
from pipelines import clock
from pipelines.errors import MODEL_FAILURES, ConfigError, first_line
from pipelines.stages import predict
from pipelines.stages.champions import Contestant, Record, Reign, Role, Told, read_record, write_record
from pipelines.stages.night import Night
from pipelines.stages.predict import Target, Trained, Training
from pipelines.time_budget import BudgetExceededError, TimeBudget

log = logging.getLogger("adno")

#: A temporary file that a killed process left is removed when it is older than this.
ABANDONED = pd.Timedelta(hours=1)


@dataclass(frozen=True)
class Rules:
    """How champions are challenged, as ``conf/nightly.yaml`` says it under ``recalibration``."""

    every_nights: int
    budget_s: float
    warm_start_steps: int
    warm_start_days: int
    rebuild_days: float
    window_days: int
    promote: Margin
    back: Margin


def rules_of(settings: Mapping[str, Any]) -> Rules | None:
    """The rules of the configuration; none if recalibration is switched off.

    Raises ``ConfigError`` or ``SettingError`` for a number that cannot be used.
    """
    if not settings["enabled"]:
        return None
    for name in ("every_nights", "warm_start_steps", "warm_start_days"):
        if int(settings[name]) < 1:
            raise ConfigError(f"recalibration.{name}={settings[name]} must be at least 1")
    gain, p_value = float(settings["margin"]), float(settings["p_value"])
    promote, back = (Margin(int(settings[name]), gain, p_value) for name in ("days", "return_days"))
    if int(settings["window_days"]) < promote.days:
        raise ConfigError(f"recalibration.window_days={settings['window_days']} is less than recalibration.days")
    return Rules(
        int(settings["every_nights"]),
        float(settings["budget_s"]),
        int(settings["warm_start_steps"]),
        int(settings["warm_start_days"]),
        float(settings["rebuild_days"]),
        int(settings["window_days"]),
        promote,
        back,
    )


@dataclass
class Contest:
    """The contest of one recipe on one night. Nothing is written before :meth:`enter`.

    path: where an artefact trained on this night would lie; the record lies beside it.
    """

    path: Path
    store: Store
    target: Target
    night: Night
    training: Training
    rules: Rules
    budget: TimeBudget
    record: Record | None = field(init=False)
    _events: list[str] = field(init=False, default_factory=list)
    _rows: dict[str, DayAheadSamples] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.record = read_record(self._record_path)

    @property
    def _record_path(self) -> Path:
        return self.path.with_name(f"{predict.recipe_of(self.path)}.champion.json")

    @property
    def _past(self) -> bool:
        """Whether later nights are on record already: then this one only reads."""
        return self.record is not None and self.record.night is not None and self.night.as_of < self.record.night

    @property
    def _new_night(self) -> bool:
        """Whether the delivery day has not been entered yet; one day counts once, however often it is forecast."""
        return self.record is None or self.record.delivery_day < self.night.delivery_day.isoformat()

    def settle(self, samples: DayAheadSamples) -> None:
        """Compare on what has been delivered by now, and decide who serves tonight."""
        if self.record is None or self._past or not self._new_night:
            return
        record = self.record = self.record.settled(samples, self.rules.window_days)
        return_gain = record.comparison(Role.PREVIOUS)
        compared = record.comparison(Role.CHALLENGER)
        if record.previous is not None and return_gain.better(self.rules.back):
            self._return(record, f"which was {_share(return_gain)} better on {return_gain.days} days")
        elif record.challenger is not None and compared.better(self.rules.promote):
            self._promote(record, record.challenger, compared)
        elif compared.days >= self.rules.promote.days:
            self.record = record = replace(record, confirmed=self.night.as_of)
            if compared.worse(self.rules.promote) or compared.days >= self.rules.window_days:
                self.record = record.without(Role.CHALLENGER)
                self._events.append(f"the challenger was not better on {compared.days} days and was dropped")

    def _promote(self, record: Record, challenger: Contestant, compared: Comparison) -> None:
        if not self._file(challenger).is_file():
            self.record = record.without(Role.CHALLENGER)
            self._events.append("the artefact of the challenger is gone")
            return
        self.record = record.crowned(challenger, self.night.as_of, record.champion)
        self._events.append(
            f"promoted, because it was {_share(compared)} better on {compared.days} days than the champion of "
            f"{record.champion.learned:%Y-%m-%d}"
        )

    def _return(self, record: Record, why: str) -> None:
        assert record.previous is not None
        self.record = record.crowned(record.previous, self.night.as_of, None)
        self._events.append(
            f"returned to the champion of {record.previous.learned:%Y-%m-%d}, {why}, from that of "
            f"{record.champion.learned:%Y-%m-%d}"
        )

    def serving(self, max_age_days: float) -> Path | None:
        """The champion's artefact; none if there is none for this instant, or it was not confirmed for too long."""
        record = self.record
        if record is None:
            return predict.saved_artefact(self.path, self.night, max_age_days)
        if self._past:
            served = record.serving_at(self.night.as_of)
            found = None if served is None else self.path.with_name(served)
            return found if found is not None and found.is_file() else None
        vouched = max(moment for moment in (record.champion.learned, record.confirmed) if moment is not None)
        fresh = self.night.as_of - vouched <= pd.Timedelta(days=max_age_days)
        return self._file(record.champion) if fresh else None

    def reserves(self) -> list[tuple[pd.Timestamp, Path]]:
        """The champion's and the previous one's artefact, with the instant of their newest data."""
        if self.record is None or self._past:
            return []
        kept = (self.record.champion, self.record.previous)
        return [(one.learned, self._file(one)) for one in kept if one is not None]

    def used(self, trained: Trained, failure: str = "") -> None:
        """Take note of the artefact that serves tonight; ``failure``: why the champion could not, if it could not."""
        path = trained.forecaster.path
        if self._past or path is None:
            return
        record = self.record
        if record is None or (trained.report is not None and path.name != record.champion.file):
            learned = self.night.as_of if trained.report is not None else _stamp(path)
            champion = Contestant(path.name, learned, learned)
            if record is None:
                self.record = Record(champion, line=(Reign(champion.file, self.night.as_of),))
            else:
                readable = record.champion if self._file(record.champion).is_file() else record.previous
                self.record = record.crowned(champion, self.night.as_of, readable)
                self._events.append("trained anew")
        elif failure and record.previous is not None and path.name == record.previous.file:
            self._return(record, f"because the promoted one failed: {failure}")

    def enter(self, champion: Trained, samples: DayAheadSamples) -> None:
        """Make or renew the challenger within the budget, let everyone forecast the delivery day, and keep it all."""
        if self._past or self.record is None:
            return
        if self._new_night:
            self._challenge(champion, samples)
            told = {str(Role.CHAMPION): self._quantiles(champion)}
            for role in (Role.CHALLENGER, Role.PREVIOUS):
                told |= self._beside(role, samples)
            day = self.night.delivery_day.isoformat()
            self.record = replace(
                self.record,
                night=self.night.as_of,
                delivery_day=day,
                told={**self.record.told, day: told},
                event="; ".join(self._events),
            )
        write_record(self._record_path, self.record)
        self._prune(self.record.files)

    def _challenge(self, champion: Trained, samples: DayAheadSamples) -> None:
        record, as_of = self.record, self.night.as_of
        assert record is not None
        newest = record.challenger or record.champion
        # half a day of room: nights do not start at the same minute
        if as_of - newest.learned < pd.Timedelta(days=self.rules.every_nights - 0.5):
            return
        from_nothing = self._rebuild_due(champion, record)
        if from_nothing and self.budget.left < self.budget.seconds / 2:
            self._events.append("no new challenger: its training from nothing waits for a night with more time left")
            return
        try:
            with self.budget.spend():
                model, rebuilt = self._renewed(champion, samples, record, from_nothing)
        except BudgetExceededError as error:
            if from_nothing:
                self.record = replace(record, unfinished=as_of)
            self._events.append(f"no new challenger: {error}")
            return
        except MODEL_FAILURES as error:
            log.warning("the challenger for %s failed", self.target.name, exc_info=True)
            self.record = record.without(Role.CHALLENGER)
            self._events.append(f"no new challenger: {first_line(error)}")
            return
        path = self.path.with_name(f"{self.path.stem}.challenger.pt")
        predict.save(path, model, samples, self.night, self.training)
        self.record = replace(record, challenger=Contestant(path.name, as_of, rebuilt))

    def _rebuild_due(self, champion: Trained, record: Record) -> bool:
        """Whether a line that could be warm-started is old; one that could not be rebuilt in time goes on being warm-started."""
        if record.challenger is not None or not isinstance(champion.forecaster.model, WarmStarting):
            return False
        moments = [record.champion.rebuilt, *([record.unfinished] if record.unfinished is not None else [])]
        return bool(self.night.as_of - max(moments) > pd.Timedelta(days=self.rules.rebuild_days))

    def _renewed(
        self, champion: Trained, samples: DayAheadSamples, record: Record, from_nothing: bool
    ) -> tuple[Forecaster, pd.Timestamp]:
        """A model that has learned the newest days, and when its line was trained from nothing."""
        as_of, line, begun = self.night.as_of, record.champion, champion.forecaster.model
        if record.challenger is not None:
            line, begun = record.challenger, forecasting.load(self._file(record.challenger)).model
        if from_nothing or not isinstance(begun, WarmStarting):
            return predict.train(samples, self.night, self.training)[0], as_of
        meta = champion.forecaster.meta
        copy = forecasting.create(meta.model, **meta.settings).load_state(begun.state())
        assert isinstance(copy, WarmStarting)
        first = samples.day.max() - np.timedelta64(self.rules.warm_start_days - 1, "D")
        seed = self.training.seed + self.night.delivery_day.toordinal()
        copy.warm_start_steps(samples.select(samples.day >= first), self.rules.warm_start_steps, seed=seed)
        return copy, line.rebuilt

    def _beside(self, role: Role, samples: DayAheadSamples) -> dict[str, Told]:
        """What the holder of ``role`` forecasts; one whose forecast cannot be meant loses the role."""
        record = self.record
        assert record is not None
        contestant = record.contestant(role)
        if contestant is None:
            return {}
        try:
            trained = predict.loaded(self._file(contestant), samples, self.night, self.training)
            return {str(role): self._quantiles(trained)}
        except StorageError:
            raise
        except MODEL_FAILURES as error:
            log.warning("the %s for %s was refused", role, self.target.name, exc_info=True)
            self.record = record.without(role)
            self._events.append(f"the {role} was refused: {first_line(error)}")
            return {}

    def _quantiles(self, trained: Trained) -> Told:
        """Calibrated quantiles of the delivery day by place, as they would be published."""
        for place in self.target.places:
            if place not in self._rows:
                self._rows[place] = predict.live_row(self.store, self.target, place, self.night, self.training)
        return {
            place: predict.calibrated(trained, self.target, place, row).quantiles[0]
            for place, row in self._rows.items()
        }

    def _file(self, contestant: Contestant) -> Path:
        return self.path.with_name(contestant.file)

    def _prune(self, kept: set[str]) -> None:
        """Remove the recipe's artefacts that nobody needs, and what killed processes left half-written."""
        recipe = predict.recipe_of(self.path)
        for path in self.path.parent.glob(f"{recipe}-*.pt"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
        abandoned = (clock.now() - ABANDONED).timestamp()
        for path in self.path.parent.glob(f".{recipe}*"):
            if path.stat().st_mtime < abandoned:
                path.unlink(missing_ok=True)

    def verdict(self) -> dict[str, Any] | None:
        """What the status says of this contest."""
        return None if self.record is None else self.record.verdict(self.rules.promote)


def _share(comparison: Comparison) -> str:
    return f"{100 * abs(comparison.gain):.1f}%"


def _stamp(path: Path) -> pd.Timestamp:
    """The instant in the name of an artefact."""
    text = path.name.removeprefix(predict.recipe_of(path) + "-").split(".")[0]
    return pd.to_datetime(text, format="%Y-%m-%dT%H%MZ", utc=True)
