"""The record of one recipe's champion: which artefact serves, which challenges it, which served before, and their losses."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.contest import Comparison, Margin, compare, day_loss
from forecasting.samples import DayAheadSamples
from pipelines.run_folder import write_atomically

log = logging.getLogger("adno")

#: Quantiles ``[S, Q]`` of one delivery day by place, in units of the samples.
Told = Mapping[str, NDArray[np.float64]]

#: Champions whose names the record keeps.
LONGEST_LINE = 20


class Role(StrEnum):
    """Who forecasts: ``CHAMPION`` is published, the others forecast beside it to be compared."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"


@dataclass(frozen=True)
class Contestant:
    """One artefact. ``learned``: instant of its newest data; ``rebuilt``: when its line was last trained from nothing."""

    file: str
    learned: pd.Timestamp
    rebuilt: pd.Timestamp

    @property
    def warm(self) -> bool:
        """Whether it was warm-started after its line had been trained from nothing."""
        return bool(self.learned > self.rebuilt)


@dataclass(frozen=True)
class Reign:
    """A champion's file and the instant from which it served."""

    file: str
    since: pd.Timestamp


@dataclass(frozen=True)
class Record:
    """What is kept from night to night.

    night, delivery_day: the newest night entered. confirmed: newest instant at which the champion stood a comparison.
    told: forecasts whose truth is not known yet, by delivery day, role and place. losses: by delivery day and role, since
    the champion took over. event: what changed on the newest night, in words. unfinished: the newest night whose training
    from nothing was broken off.
    """

    champion: Contestant
    challenger: Contestant | None = None
    previous: Contestant | None = None
    line: tuple[Reign, ...] = ()
    confirmed: pd.Timestamp | None = None
    night: pd.Timestamp | None = None
    delivery_day: str = ""
    told: Mapping[str, Mapping[str, Told]] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    event: str = ""
    unfinished: pd.Timestamp | None = None

    def contestant(self, role: Role) -> Contestant | None:
        """Who has the role."""
        found: Contestant | None = getattr(self, role)
        return found

    @property
    def files(self) -> set[str]:
        """Artefacts that are kept."""
        return {one.file for one in (self.champion, self.challenger, self.previous) if one is not None}

    def serving_at(self, moment: pd.Timestamp) -> str | None:
        """File of the champion that served at ``moment``; none if the record does not reach back so far."""
        served = [reign.file for reign in self.line if reign.since <= moment]
        return served[-1] if served else None

    def crowned(self, champion: Contestant, at: pd.Timestamp, previous: Contestant | None) -> Record:
        """A new champion from ``at``; losses of others do not count for or against it."""
        line = (*self.line, Reign(champion.file, at))[-LONGEST_LINE:]
        return replace(
            self,
            champion=champion,
            challenger=None,
            previous=previous,
            line=line,
            confirmed=at,
            told={},
            losses={},
        )

    def without(self, role: Role) -> Record:
        """The same without the contestant of ``role`` and what it forecast."""
        gone: dict[str, Any] = {str(role): None}
        return replace(
            self,
            **gone,
            told={day: {k: v for k, v in roles.items() if k != role} for day, roles in self.told.items()},
            losses={day: {k: v for k, v in roles.items() if k != role} for day, roles in self.losses.items()},
        )

    def settled(self, samples: DayAheadSamples, window_days: int) -> Record:
        """The record with the losses of every forecast whose truth ``samples`` hold; ``window_days`` days are kept."""
        known = {
            (str(day), str(zone)): row for row, (day, zone) in enumerate(zip(samples.day, samples.zone, strict=True))
        }
        losses, open_days = dict(self.losses), {}
        for day, roles in self.told.items():
            places = sorted({place for told in roles.values() for place in told})
            if all((day, place) in known for place in places):
                losses[day] = {
                    role: float(np.mean([day_loss(samples.y[known[day, place]], told[place]) for place in places]))
                    for role, told in roles.items()
                }
            else:
                open_days[day] = roles
        newest = sorted(losses)[-window_days:]
        # a day whose truth has not come after as many nights never will
        waiting = sorted(open_days)[-window_days:]
        return replace(self, losses={day: losses[day] for day in newest}, told={day: open_days[day] for day in waiting})

    def comparison(self, role: Role) -> Comparison:
        """``role`` against the champion on the days that both forecast."""
        days = [day for day, losses in self.losses.items() if role in losses and Role.CHAMPION in losses]
        return compare([self.losses[day][role] for day in days], [self.losses[day][Role.CHAMPION] for day in days])

    def verdict(self, margin: Margin) -> dict[str, Any]:
        """What the status says: champion, challenger and their comparison."""
        compared = self.comparison(Role.CHALLENGER)
        return {
            "champion": self.champion.learned,
            "warm_started": self.champion.warm,
            "serving_since": self.line[-1].since if self.line else None,
            "challenger": self.challenger.learned if self.challenger else None,
            "previous": self.previous.learned if self.previous else None,
            "days_compared": compared.days,
            "challenger_gain": compared.gain if compared.days else None,
            "days_needed": margin.days,
            "event": self.event,
            "words": self.words(),
        }

    def words(self) -> str:
        """One line for a person."""
        text = f"champion of {_date(self.champion.learned)}"
        text += f" (built {_date(self.champion.rebuilt)}, warm-started since)" if self.champion.warm else ""
        compared = self.comparison(Role.CHALLENGER)
        if self.challenger is None:
            text += ", no challenger"
        elif compared.days == 0:
            text += f", challenger of {_date(self.challenger.learned)} not compared yet"
        else:
            share, word = 100 * abs(compared.gain), "better" if compared.gain > 0 else "worse"
            text += f", challenger {share:.1f}% {word} on {compared.days} day{'s' if compared.days > 1 else ''}"
        return f"{text}; {self.event}" if self.event else text


def _date(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d}"


def read_record(path: Path) -> Record | None:
    """The record at ``path``; none if there is none, or none that can be read (said in the log)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _from_json(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the record of champions %s cannot be read (%s); it starts anew", path, type(error).__name__)
        return None


def write_record(path: Path, record: Record) -> None:
    """Write the record whole or not at all. Raises ``FolderError``."""
    text = json.dumps(asdict(record), default=_plain) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # seven digits tell two float32 forecasts apart
        return [[float(f"{number:.7g}") for number in row] for row in value.tolist()]
    return value.isoformat()


def _from_json(content: Mapping[str, Any]) -> Record:
    def contestant(entry: Mapping[str, str] | None) -> Contestant | None:
        if entry is None:
            return None
        return Contestant(entry["file"], pd.Timestamp(entry["learned"]), pd.Timestamp(entry["rebuilt"]))

    champion = contestant(content["champion"])
    assert champion is not None
    return Record(
        champion=champion,
        challenger=contestant(content["challenger"]),
        previous=contestant(content["previous"]),
        line=tuple(Reign(entry["file"], pd.Timestamp(entry["since"])) for entry in content["line"]),
        confirmed=content["confirmed"] and pd.Timestamp(content["confirmed"]),
        night=content["night"] and pd.Timestamp(content["night"]),
        delivery_day=str(content["delivery_day"]),
        told={
            day: {
                role: {place: np.asarray(rows, dtype=np.float64) for place, rows in told.items()}
                for role, told in roles.items()
            }
            for day, roles in content["told"].items()
        },
        losses=content["losses"],
        event=str(content["event"]),
        unfinished=content.get("unfinished") and pd.Timestamp(content["unfinished"]),
    )
