"""The page as a document: well-formed, self-contained, escaped, and readable without seeing it."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import FolderError
from pipelines.report.charts import bars
from pipelines.report.page import Cell, Headline, Page, Section, Table, render, write_page
from tests.pipelines.report_fixtures import night_page

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Document(HTMLParser):
    """Checks nesting and collects what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == [], f"left open: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, tuple(self.stack)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, tuple(self.stack)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1] == tag, f"</{tag}> closes {self.stack[-3:]}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.stack):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def night() -> str:
    return render(night_page(simulated=True, zone="<script>alert(1)</script>"))


@pytest.fixture(scope="module")
def document(night: str) -> Document:
    return Document(night)


def test_every_element_is_closed_and_every_id_is_unique(document: Document) -> None:
    ids = Counter(attributes["id"] for _, attributes, _ in document.elements if "id" in attributes)
    assert len(ids) > 30
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_inner_reference_has_its_target(night: str, document: Document) -> None:
    ids = {attributes["id"] for _, attributes, _ in document.elements if "id" in attributes}
    wanted = set(re.findall(r"url\(#([^)]+)\)", night)) | set(re.findall(r'href="#([^"]+)"', night))
    wanted |= {part for value in re.findall(r'aria-labelledby="([^"]+)"', night) for part in value.split()}
    assert wanted
    assert wanted <= ids


def test_a_script_in_a_zone_name_is_shown_as_text(night: str, document: Document) -> None:
    assert document.all("script") == []
    assert "<script>alert(1)</script>" in document.text
    assert "<script" not in night


def test_the_page_asks_no_host_for_anything(night: str) -> None:
    without_pictures = re.sub(r"data:image/png;base64,[\w+/=\s]+", "", night)
    assert "//" not in without_pictures, "no address of any host, with a scheme or without"
    assert "@import" not in night
    assert "@font-face" not in night
    assert "default-src 'none'" in night


def test_every_drawing_is_told_in_words(document: Document) -> None:
    drawings = [(attributes, parents) for tag, attributes, parents in document.elements if tag == "svg"]
    assert len(drawings) == 13
    assert all(attributes["role"] == "img" and attributes["aria-labelledby"] for attributes, _ in drawings)
    assert all("figure" in parents for _, parents in drawings)
    assert len(document.all("figcaption")) == len(document.all("figure")) == len(document.all("desc")) == 13
    assert [attributes for attributes in document.all("img") if not attributes.get("alt")] == []


def test_landmarks_headings_and_tables_serve_a_screen_reader(night: str, document: Document) -> None:
    tags = [tag for tag, _, _ in document.elements]
    assert [tags.count(tag) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert document.all("html")[0]["lang"] == "en"
    assert tags.count("caption") == tags.count("table") > 4
    assert all(attributes.get("scope") in ("col", "row") for attributes in document.all("th"))
    first_link = document.all("a")[0]
    assert first_link == {"class": "skip", "href": "#content"}


def test_the_contents_list_every_section(document: Document) -> None:
    sections = [attributes["id"] for attributes in document.all("section")]
    links = [attributes["href"][1:] for attributes in document.all("a") if attributes["href"].startswith("#")]
    assert links[1:] == sections
    assert len(sections) == 9


def test_simulated_data_is_said_before_the_first_figure(night: str) -> None:
    assert "simulated data" in night[: night.index("<figure")]


def test_a_page_of_real_data_does_not_call_it_simulated() -> None:
    assert "simulated" not in render(night_page())


@pytest.mark.parametrize(("status", "word"), [("ok", "OK"), ("degraded", "Degraded"), ("failed", "Failed")])
def test_the_status_is_said_in_words_with_its_reasons(status: str, word: str) -> None:
    text = Document(render(Page("Night", "", status, ["the price of 3 hours is missing"]))).text  # type: ignore[arg-type]
    assert f"{word}:" in text
    assert "the price of 3 hours is missing" in text


def test_the_page_stays_small() -> None:
    assert len(render(night_page("2024-10-27", 15))) < 600_000


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_any_text_comes_through_as_it_was(text: str) -> None:
    table = Table(text, (text, "b"), [(text, Cell(text, "warn"))])
    page = Page(
        text, text, "ok", [text], [text], [Headline(text, text, text, text)], [Section(text, text, (), [table], [text])]
    )
    document = Document(render(page))
    if text.strip():
        assert document.text.count(" ".join(text.split())) >= 10
    assert document.all("script") == []


def test_sections_of_the_same_title_keep_their_own_ids() -> None:
    page = Page("P", "", "ok", sections=[Section("Same"), Section("Same"), Section("Content")])
    assert [a["id"] for a in Document(render(page)).all("section")] == ["same", "same-2", "content-2"]


def test_two_equal_charts_on_one_page_do_not_share_ids() -> None:
    first, second = (bars({"a": 1.0, "b": 2.0}, title, "MW") for title in ("One", "Two"))
    page = Page("P", "", "ok", sections=[Section("S", figures=[first, second])])
    ids = Counter(a["id"] for _, a, _ in Document(render(page)).elements if "id" in a)
    assert max(ids.values()) == 1


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("the page of yesterday")
    assert write_page(target, Page("New", "", "ok")) == target
    assert target.read_text().rstrip().endswith("</html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_drawn_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("the page of yesterday")
    with pytest.raises(KeyError):
        write_page(target, Page("New", "", "unheard of"))  # type: ignore[arg-type]
    assert target.read_text() == "the page of yesterday"


def test_a_place_that_is_no_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=r"report\.html"):
        write_page(tmp_path / "file" / "report.html", Page("New", "", "ok"))
