"""Every fault of a case file at once, in words: misspelled keys with the nearest right one, bad values, missing sections."""

from __future__ import annotations

import copy
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]


def validate_with_all_faults(model: type[Model], data: Mapping[str, Any]) -> tuple[Model | None, list[str]]:
    """Validate ``data``, and look beneath each fault for the next.

    A misspelled key is read as the nearest right one and a bad list entry is left out, so that faults behind the first
    are found in the same run.

    Returns
    -------
    The model (``None`` if no usable rest is left) and the faults; the model is only fit for use if there are none.
    """
    rest: dict[str, Any] = copy.deepcopy(dict(data))
    faults: dict[str, str] = {}
    mended: set[Location] = set()
    for _ in range(20):
        try:
            return model.model_validate(rest), list(faults.values())
        except ValidationError as error:
            details = error.errors(include_url=False)
        misspelled = [detail for detail in details if detail["type"] == "extra_forbidden"]
        progress = False
        for detail in reversed(misspelled or details):
            location = _in_data(rest, tuple(detail["loc"]), detail["type"])
            where = place(location)
            if where not in faults and location not in mended:
                faults[where] = f"{where}: {_in_words(model, location, detail)}"
            progress |= _mend(model, rest, location, detail["type"], mended)
        if not progress:
            break
    return None, list(faults.values())


def place(location: Location) -> str:
    """``("gas", 0, "bus")`` as ``gas[0].bus``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the whole file"


def nearest(word: str, choices: typing.Iterable[str]) -> str | None:
    """The choice most like ``word``, or ``None`` if nothing is near."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return found[0] if found else None


def _in_data(rest: Any, location: Location, kind: str) -> Location:
    """The part of ``location`` that is in the file: pydantic adds the names of types it tried."""
    owner = rest
    for depth, part in enumerate(location):
        held: Any = dict(enumerate(owner)) if isinstance(owner, list) else owner
        if not isinstance(held, dict) or part not in held:
            return location if kind == "missing" and depth == len(location) - 1 else location[:depth]
        owner = held[part]
    return location


def _in_words(model: type[BaseModel], location: Location, detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        keys = list(owner.model_fields) if owner is not None else []
        guess = nearest(str(location[-1]), keys)
        return "no such key; " + (f"did you mean '{guess}'?" if guess else f"known keys: {', '.join(keys)}")
    if detail["type"] == "missing":
        return "missing; give it a value"
    if detail["type"] == "finite_number":
        return f"{detail['input']} is not a finite number; fill the gap by a named rule before making a case"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = detail.get("input")
    shown = f" (given: {given!r})" if isinstance(given, (int, float, str, bool)) else ""
    return f"{message}{shown}"


def _mend(model: type[BaseModel], rest: dict[str, Any], location: Location, kind: str, mended: set[Location]) -> bool:
    """Take the fault at ``location`` out of ``rest``; true if something was changed."""
    chain: list[Any] = [rest]
    for part in location[:-1]:
        chain.append(chain[-1][part])
    if not location:
        return False
    owner, key = chain[-1], location[-1]
    if kind == "extra_forbidden":
        section = _model_at(model, location[:-1])
        guess = nearest(str(key), section.model_fields) if section is not None else None
        value = owner.pop(key)
        if guess and guess not in owner:
            owner[guess] = value
        return True
    if isinstance(owner, list):
        sound = [v for v in owner if isinstance(v, (int, float)) and math.isfinite(v) and v > 0]
        if not sound:
            return False
        owner[int(key)] = sound[0]
        return True
    for depth in range(len(location) - 1, 0, -1):
        holder, place_in = chain[depth - 1], location[depth - 1]
        if isinstance(holder, list) and isinstance(chain[depth], dict):
            del holder[int(place_in)]
            return True
    mended.add(location)
    return owner.pop(key, None) is not None


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if current is not None else None
        current = _model_in(field.annotation) if field is not None else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, dict, typing.Union, types.UnionType):
        for inner in typing.get_args(annotation):
            found = _model_in(inner)
            if found is not None:
                return found
    return None
