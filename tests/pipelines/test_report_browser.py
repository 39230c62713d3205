"""The page in a real browser: no error in its console, every figure drawn, nothing wider than a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.report.page import render
from tests.pipelines.report_fixtures import night_page

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0",
)  # fmt: skip
MEASURE = """<script>addEventListener('load', () => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  const found = {figures: [...document.querySelectorAll('figure svg')].map(box), page: document.documentElement.scrollWidth,
    window: innerWidth, texts: [...document.querySelectorAll('figure svg text')].filter(t => t.getBBox().width > 0).length};
  document.body.setAttribute('data-measured', JSON.stringify(found));
});</script>"""


def browse(page: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_the_console_stays_silent(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(night_page(simulated=True)), encoding="utf-8")
    shot = tmp_path / "shot.png"
    ran = browse(page, tmp_path / "profile", "--window-size=1280,2000", f"--screenshot={shot}")
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    assert shot.stat().st_size > 50_000


@pytest.mark.parametrize("width", [1280, 500])
def test_every_figure_has_size_and_the_page_fits(tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    html = render(night_page("2024-10-27", 15))
    unlocked = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html).replace(
        "</body>", MEASURE + "</body>"
    )
    page.write_text(unlocked, encoding="utf-8")
    ran = browse(page, tmp_path / "profile", f"--window-size={width},900", "--dump-dom")
    match = re.search(r'data-measured="([^"]*)"', ran.stdout)
    assert match is not None
    found = json.loads(match[1].replace("&quot;", '"'))
    assert len(found["figures"]) == 13
    assert all(w > 300 and h > 100 for w, h in found["figures"])
    assert found["texts"] > 200
    assert found["page"] <= found["window"] + 1, "no sideways scrolling of the page itself"
