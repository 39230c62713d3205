"""Keep a secret out of messages: in our own texts by value, in other libraries' log lines by pattern."""

from __future__ import annotations

import logging
import os
import re
from urllib.parse import quote, quote_plus

from forecasting.errors import SettingError

HIDDEN = "[hidden]"
_TOKEN_IN_URL = re.compile(r"(securityToken(?:=|%3D|['\"]\s*:\s*['\"]))[^&\s\"'<>]+", re.IGNORECASE)

#: Loggers of the HTTP stack that print the path with its query, the token among it.
_LOGGERS_WITH_URLS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


def redact(text: str, secret: str = "") -> str:
    """``text`` without the value of any ``securityToken`` and without ``secret`` in plain or URL-quoted form."""
    for form in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
        text = text.replace(form, HIDDEN)
    return _TOKEN_IN_URL.sub(rf"\g<1>{HIDDEN}", text)


class _HideTokens(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        return True


def hide_tokens_in_http_logs() -> None:
    """Make the HTTP libraries' loggers drop security tokens; calling it again changes nothing."""
    for name in _LOGGERS_WITH_URLS:
        logger = logging.getLogger(name)
        if not any(isinstance(f, _HideTokens) for f in logger.filters):
            logger.addFilter(_HideTokens())


class KeyFromEnvironment:
    """An API key that lives in an environment variable alone: read at each use, never stored, never printed."""

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def __repr__(self) -> str:
        return f"KeyFromEnvironment({self.variable!r})"

    def reveal(self) -> str:
        """The key. Raises ``SettingError`` where the variable is absent or empty."""
        key = os.environ.get(self.variable, "").strip()
        if not key:
            raise SettingError(
                f"no API key: set the environment variable {self.variable} to your ENTSO-E security token "
                "(source.key_variable names another variable)"
            )
        return key
