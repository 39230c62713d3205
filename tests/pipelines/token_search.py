"""Every form in which a secret may lie in a file or a stream, and the search for them."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pandas as pd


def forms(secret: str) -> dict[str, bytes]:
    """The secret as bytes by the name of its form. Base64 of a text has the secret in one of three alignments."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "URL": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "URL twice": quote(quote(secret, safe=""), safe="").encode(),
        "HTML": html.escape(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "hex": raw.hex().encode(),
        "UTF-16": secret.encode("utf-16-le"),
    }
    for shift in range(3):
        # the first and the last group also depend on what stands beside the secret
        text = base64.b64encode(bytes(shift) + raw)
        inner = text[4 * (shift > 0) : 4 * ((shift + len(raw)) // 3)]
        found[f"base64, shifted by {shift}"] = inner
        found[f"base64 for URLs, shifted by {shift}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def holds(content: bytes, secret: str) -> list[str]:
    """Names of the forms of ``secret`` that ``content`` holds."""
    return [name for name, form in forms(secret).items() if form in content]


def files_with(folder: Path, secret: str) -> dict[str, list[str]]:
    """Every file below ``folder`` whose name or content holds the secret, hidden files too; tables are decompressed."""
    return {
        str(path.relative_to(folder)): names
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (names := holds(b"\n".join(_contents(path)), secret))
    }


def _contents(path: Path) -> Iterator[bytes]:
    yield str(path).encode()
    yield path.read_bytes()
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        yield repr((frame.attrs, list(frame.columns), frame.index.names)).encode()
        for column in frame.select_dtypes(exclude="number"):
            yield "\n".join(map(str, frame[column].unique())).encode()
