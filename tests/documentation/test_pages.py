"""Every code block of the documentation runs as printed, and every page and link of the built site is there."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import dispatch
import dispatch.bilevel
import forecasting
import forecasting.models
from tests.documentation.blocks import blocks_of, compose_commands, run_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
_RUN = [page for page in PAGES if any(b.language in ("python", "bash", "console") for b in blocks_of(page))]


@pytest.mark.parametrize("page", _RUN, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        forecasting.models, "_MODELS", dict(forecasting.models._MODELS)
    )  # a page registers one of its own
    run_page(page, tmp_path)


def test_readme_runs_composes_and_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readme = ROOT / "README.md"
    for block in blocks_of(readme):
        if block.language == "python":
            exec(compile(block.text, f"README.md, line {block.line}", "exec"), {})
        elif "python -m pipelines." in block.text:
            compose_commands(block.text, f"README.md, line {block.line}")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", readme.read_text(encoding="utf-8"))
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


class _Links(HTMLParser):
    """Addresses a page points to, hosts it loads from, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {key: value or "" for key, value in attrs}
        self.anchors |= {named[key] for key in ("id", "name") if key in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        elif tag in ("script", "img", "iframe") and "src" in named:
            self.loaded.append(named["src"])
        elif tag == "link" and named.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loaded.append(named["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_links_lead_somewhere_and_nothing_is_loaded_from_another_host(site: Path) -> None:
    pages = {
        path.relative_to(site).as_posix(): _Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    assert len(pages) > len(PAGES)
    broken = []
    for name, page in pages.items():
        assert not [address for address in page.loaded if re.match(r"(https?:)?//", address)], name
        for link in page.links:
            if re.match(r"[a-z]+:|//", link) or name == "404.html":
                continue
            target, _, anchor = link.partition("#")
            path = (site / name).parent / target if target else site / name
            key = path.resolve().relative_to(site.resolve()).as_posix()
            if not (site / key).exists():
                broken.append(f"{name}: {link}")
            elif anchor and key in pages and anchor not in pages[key].anchors:
                broken.append(f"{name}: {link} (no such anchor)")
    assert not broken, "\n".join(broken[:20])


def test_formulas_are_mathml(site: Path) -> None:
    text = (site / "mathematics" / "index.html").read_text(encoding="utf-8")
    assert "<math" in text
    assert "arithmatex" not in text


def test_reference_has_units_and_errors_of_the_main_call(site: Path) -> None:
    text = (site / "reference" / "dispatch.html").read_text(encoding="utf-8")
    assert "Solve the market model of a case" in text
    assert "from <code>load_case</code>" in text
    assert "Raises" in text


def test_reference_lists_every_public_name(site: Path) -> None:
    ids = {
        name.rpartition(".")[2]
        for page in (site / "reference").glob("*.html")
        for name in re.findall(r'id="([\w.]+)"', page.read_text(encoding="utf-8"))
    }
    packages = (forecasting, forecasting.models, dispatch, dispatch.bilevel)
    public = {name for package in packages for name in package.__all__ if callable(getattr(package, name))}
    assert not public - ids


@pytest.mark.parametrize(
    "package", [forecasting, dispatch, forecasting.models, dispatch.bilevel], ids=lambda p: p.__name__
)
def test_every_public_name_is_documented(package: ModuleType) -> None:
    for name in package.__all__:
        thing = getattr(package, name)
        assert not callable(thing) or inspect.getdoc(thing), f"{package.__name__}.{name} has no docstring"
