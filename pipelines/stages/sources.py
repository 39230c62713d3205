"""Open the data source that the configuration names.

A source of your own joins from an installed package by an entry point of the group ``adno.sources``
(``my_source = "my_package.my_source:MySource"``); the other keys of its group in ``conf/source`` are its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.availability import AvailabilityRule
from forecasting.names import unknown
from forecasting.sources.base import Source
from pipelines import clock
from pipelines.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"

KINDS = ("synthetic", "files", "entsoe")


def open_source(settings: Mapping[str, Any]) -> Source:
    """The source of ``conf/source``. Raises ``ConfigError`` for a kind, folder or layout that does not exist."""
    options = {key: value for key, value in settings.items() if key != "kind"}
    match settings["kind"]:
        case "synthetic":
            from forecasting.sources.synthetic import SyntheticSource

            return SyntheticSource(**options)
        case "entsoe":
            from forecasting.sources.entsoe import EntsoeSource

            return EntsoeSource(**options)
        case "files":
            return _files(options)
        case other:
            return _installed(str(other), options)


def _installed(kind: str, options: Mapping[str, Any]) -> Source:
    points = {point.name: point for point in entry_points(group="adno.sources")}
    if kind not in points:
        raise ConfigError(unknown("source.kind", kind, (*KINDS, *points)))
    try:
        source = points[kind].load()(**options)
    except TypeError as error:
        raise ConfigError(
            f"source {kind} ({points[kind].value}) cannot be opened with {dict(options)}: {error}"
        ) from error
    if not isinstance(source, Source):
        raise ConfigError(f"source {kind}: {points[kind].value} lacks a method of forecasting.sources.base.Source")
    return source


def _files(options: Mapping[str, Any]) -> Source:
    from forecasting.sources.files import FileSource
    from forecasting.sources.layout import load_layout

    root, layout = options.get("root"), str(options.get("layout"))
    if not root:
        raise ConfigError("source.root is empty; name the folder of the files: source.root=PATH")
    if not Path(root).is_dir():
        raise ConfigError(f"source.root={root} is not a folder; name the folder of the files")
    known = {path.stem: path for path in (CONF / "layout").glob("*.yaml")}
    path = Path(layout) if layout.endswith((".yaml", ".yml")) else known.get(layout)
    if path is None or not path.is_file():
        raise ConfigError(unknown("source.layout", layout, known))
    return FileSource(Path(root), load_layout(path), availability=options.get("availability"))


def default_zone(source: Source) -> str:
    """The zone of a night that names none. Raises ``ConfigError`` where the source has no obvious one."""
    if source.simulated:
        from forecasting.sources.synthetic import DEFAULT_ZONE

        if source.name == "synthetic":
            return DEFAULT_ZONE
    zones = list(source.zones())
    if len(zones) == 1:
        return zones[0]
    raise ConfigError(f"zone is empty; name one: zone={zones[0]} (the source has {len(zones)} of them)")


def moment(text: str | None, source: Source) -> pd.Timestamp:
    """The instant of the run: ``as_of`` as written, else now; the simulated market has a fixed demonstration night."""
    if text is not None:
        return clock.instant(str(text), "as_of")
    if source.simulated:
        from forecasting.sources.synthetic import DEFAULT_AS_OF

        if source.name == "synthetic":
            return DEFAULT_AS_OF.tz_convert("UTC")
    return clock.now()


def price_rule(source: Source) -> AvailabilityRule:
    """When the day-ahead price becomes known."""
    return source.availability("price")
