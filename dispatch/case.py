"""Cases: what every market's case shares, and how a case is found, read and refused.

A case is one YAML file: network, assets, tariffs, followers and hourly inputs of one market model. Units are in the key
names; every key is checked. A file is either accepted or refused with all of its faults at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pandas as pd
import yaml
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from dispatch.case_faults import nearest, validate_with_all_faults
from dispatch.errors import CaseError

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
#: One value per hour of the day, 0 to 23.
DayShape = Annotated[tuple[float, ...], Field(min_length=24, max_length=24)]


class CaseModel(BaseModel):
    """Base of every section of a case: frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Case(CaseModel):
    """What all market cases share.

    Attributes
    ----------
    market: name of the market model that solves the case (see ``dispatch.markets``).
    name: for messages and reports; a file's stem unless the file says otherwise.
    currency: label of money; all prices are in this currency per MWh.
    step_hours: length of a step in hours (1 or 0.25 in European day-ahead markets).
    horizon_hours: length of the planned horizon in hours (23, 24 or 25 on a market day).
    index: start of each step in UTC, once the case has been tied to a day by ``with_inputs``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    market_name: ClassVar[str] = ""

    market: str
    name: str
    currency: str = "USD"
    step_hours: float = Field(default=1.0, gt=0, le=24)
    horizon_hours: float = Field(default=24.0, gt=0)
    index: pd.DatetimeIndex | None = None

    @property
    def steps(self) -> int:
        """Number of steps in the horizon."""
        return round(self.horizon_hours / self.step_hours)

    def faults(self) -> list[str]:
        """What no single key can show: values that contradict each other. Empty if the case can be used."""
        return []

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], name: str = "unnamed") -> Self:
        """A validated case from plain values.

        Raises
        ------
        CaseError
            With every fault found, misspelled keys with the nearest right one.
        """
        case, faults = validate_with_all_faults(cls, {"market": cls.market_name, "name": name, **data})
        if case is not None:
            faults += case.faults()
        if case is None or faults:
            raise CaseError(name, faults)
        return case

    def step_hours_on(self, index: pd.DatetimeIndex | None, step_hours: float | None) -> float:
        """Length of a step on another day, hours: as given, else the spacing of ``index``, else that of this case."""
        if step_hours is None and index is not None and len(index) > 1:
            step_hours = (index[1] - index[0]).total_seconds() / 3600
        return step_hours or self.step_hours

    @classmethod
    def remade(cls, data: Mapping[str, Any], faults: Sequence[str]) -> Self:
        """The case of ``data`` (with its ``name``), which is this case with other series.

        Raises
        ------
        CaseError
            With ``faults``, those of the series that were given, and every fault that the new case has, all at once.
        """
        try:
            case = cls.from_mapping(data, name=data["name"])
        except CaseError as error:
            raise CaseError(error.case, [*faults, *error.faults]) from None
        if faults:
            raise CaseError(case.name, list(faults))
        return case


def plain_values(series: ArrayLike) -> tuple[float, ...]:
    """A series as a case keeps it: plain numbers in order."""
    return tuple(float(value) for value in np.asarray(series, dtype=float).ravel())


def load_case(case: str | Path, market: str | None = None) -> Case:
    """Read a case by its name in the installed ``conf/case`` folder, or by the path of a YAML file.

    Parameters
    ----------
    case: such as ``"adno_ieee33"`` or ``"my/case.yaml"``.
    market: market whose case it must be; by default what the file says.

    Raises
    ------
    CaseError
        If there is no such case, or with every fault of the file at once.

    Examples
    --------
    >>> from dispatch import load_case
    >>> load_case("adno_ieee33").steps
    24
    """
    from dispatch.markets import available, case_type

    path = _find(case)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CaseError(str(case), [f"{path} is not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(data, Mapping):
        raise CaseError(str(case), [f"{path} holds no keys; a case begins with 'market: adno'"])
    named = data.get("market", market)
    markets = available()
    if named not in markets:
        guess = nearest(str(named), markets)
        hint = f"did you mean '{guess}'?" if guess else f"known markets: {', '.join(markets)}"
        raise CaseError(str(case), [f"market: no market is named {named!r}; {hint}"])
    if market is not None and named != market:
        raise CaseError(str(case), [f"market: the file is a case of {named!r}, but {market!r} was asked for"])
    return case_type(named).from_mapping(data, name=str(data.get("name", path.stem)))


def case_names() -> list[str]:
    """Names of the cases that come with the package."""
    return sorted({path.stem for folder in _case_folders() for path in folder.glob("*.yaml")})


def _find(case: str | Path) -> Path:
    text = str(case)
    if text.endswith((".yaml", ".yml")):
        path = Path(text)
        if not path.is_file():
            raise CaseError(text, [f"no file {path.absolute()}; give the path of a YAML file or one of: {_known()}"])
        return path
    for folder in _case_folders():
        if (folder / f"{text}.yaml").is_file():
            return folder / f"{text}.yaml"
    guess = nearest(text, case_names())
    hint = f"did you mean '{guess}'?" if guess else f"known cases: {_known()}"
    raise CaseError(text, [f"no case of this name; {hint} (a path ends in .yaml)"])


def _known() -> str:
    return ", ".join(case_names()) or "(none installed)"


def _case_folders() -> list[Path]:
    """``conf/case`` lies beside this package, in a checkout as in an installation."""
    folder = Path(__file__).resolve().parents[1] / "conf" / "case"
    return [folder] if folder.is_dir() else []
