"""A configuration says what is computed, never which code runs: names of foreign classes in it are refused unread.

Hydra makes objects from ``_target_`` for its launchers, sweepers and callbacks, and Python's logging from ``class`` and
``()``. The commands themselves make none. So whatever a file, an experiment or the command line names there has to belong to
Hydra, its plugins, the logging package or this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

#: Packages whose classes a configuration may name.
OWN = ("forecasting.", "dispatch.", "pipelines.", "hydra.", "hydra_plugins.")
LOGGING = ("logging.", "rich.logging.")


def foreign_names(config: Any, where: str = "") -> Iterator[str]:
    """Every place of a plain configuration that names code from elsewhere, as ``key=value``."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            place = f"{where}.{key}" if where else str(key)
            named = isinstance(value, str)
            if (
                (key == "_target_" and not (named and value.startswith(OWN)))
                or key == "()"
                or (key == "class" and "logging" in where and not (named and value.startswith(LOGGING)))
            ):
                yield f"{place}={value}"
            yield from foreign_names(value, place)
    elif isinstance(config, list):
        for number, item in enumerate(config):
            yield from foreign_names(item, f"{where}[{number}]")


def refuse_foreign_names(config: DictConfig) -> None:
    """Raise ``ConfigCompositionException`` with the first place that names code from elsewhere."""
    for found in foreign_names(OmegaConf.to_container(config, resolve=False)):
        raise ConfigCompositionException(
            f"the configuration names code of its own ({found}); only classes of this project, of Hydra and of logging may be "
            "named: remove that key"
        )


def guard() -> None:
    """Look at every configuration that Hydra composes from now on, before anything is made from it."""
    compose = ConfigLoaderImpl.load_configuration
    if getattr(compose, "guarded", False):
        return

    def load_configuration(self: ConfigLoaderImpl, *arguments: Any, **options: Any) -> DictConfig:
        config: DictConfig = compose(self, *arguments, **options)
        refuse_foreign_names(config)
        return config

    load_configuration.guarded = True  # type: ignore[attr-defined]
    ConfigLoaderImpl.load_configuration = load_configuration  # type: ignore[method-assign]
