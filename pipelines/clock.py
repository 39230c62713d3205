"""The only place where the project asks what time it is."""

from __future__ import annotations

import pandas as pd

from pipelines.errors import ConfigError


def now() -> pd.Timestamp:
    """The present instant, UTC."""
    return pd.Timestamp.now(tz="UTC")


def instant(text: str, key: str) -> pd.Timestamp:
    """The UTC instant written in ``text``, which must carry a time zone.

    Raises ``ConfigError`` naming ``key`` if the text is no time or has no zone.
    """
    try:
        stamp = pd.Timestamp(text)
    except ValueError as error:
        raise ConfigError(f"{key}={text} is not a time; write it like 2024-06-27T11:30+02:00") from error
    if stamp is pd.NaT:
        raise ConfigError(f"{key}={text} is not a time; write it like 2024-06-27T11:30+02:00")
    if stamp.tzinfo is None:
        raise ConfigError(f"{key}={text} has no time zone; add one, for example {text}+02:00 or {text}Z")
    return stamp.tz_convert("UTC")
