"""MkDocs hook: every notebook of ``notebooks/`` becomes a page, with the pictures it was saved with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page per notebook, and their list to the index."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page_of(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill the list of the index."""
    if page.file.src_uri != "notebooks/index.md":
        return markdown
    rows = [f"1. [{_title(path)}]({path.stem}.md)" for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    return "\n".join([markdown, "", *rows, ""])


def page_of(path: Path) -> str:
    """Markdown of a saved notebook: text, code, and what the code printed or drew."""
    parts = [f"*Notebook: `notebooks/{path.name}`*"]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"(?<!\\)\$([^$\n]+)\$", r"\\(\1\\)", source))
        elif source.strip():
            parts.append(f"```python\n{source}\n```")
            parts += [_output(output) for output in cell["outputs"]]
    head, rest = parts[1].split("\n", 1)
    return "\n\n".join([head, parts[0], rest.strip(), *parts[2:]])


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{_ANSI.sub('', ''.join(output['text'])).rstrip()}\n```"
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="figure drawn by the cell above" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    if "text/html" in data:
        lines = (line.strip() for line in "".join(data["text/html"]).splitlines())
        return re.sub(r"<style.*?</style>", "", "".join(lines))
    return f"```text\n{''.join(data.get('text/plain', '')).rstrip()}\n```"


def _title(path: Path) -> str:
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ")
