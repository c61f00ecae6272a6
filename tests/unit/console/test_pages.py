"""The pages as files: nothing from elsewhere, links that hold anywhere, no code inside markup."""

from __future__ import annotations

import re
from posixpath import join, normpath

import pytest

from modelway.console import pages

PAGES = pages()
SCRIPTS = sorted(path for path in PAGES if path.endswith(".js"))
DOCUMENTS = ["/", "/docs"]


def text(path: str) -> str:
    return PAGES[path][1].decode()


def test_the_pages_and_what_they_load_are_there_with_their_types() -> None:
    assert PAGES["/"][0] == PAGES["/docs"][0] == "text/html; charset=utf-8"
    assert PAGES["/static/style.css"][0] == "text/css; charset=utf-8"
    assert PAGES["/static/page.js"][0] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_are_relative_and_lead_somewhere(path: str) -> None:
    for target in re.findall(r'(?:href|src)="([^"#]+)"', text(path)):
        assert not target.startswith("/"), target
        assert ":" not in target
        assert normpath(join("/", target)) in {*PAGES, "/openapi.json"}, target


@pytest.mark.parametrize("path", DOCUMENTS)
def test_nothing_is_inline(path: str) -> None:
    assert re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text(path)) is None


@pytest.mark.parametrize("path", SCRIPTS)
def test_scripts_import_what_is_there(path: str) -> None:
    for target in re.findall(r'^import .* from "([^"]+)"', text(path), re.MULTILINE):
        assert normpath(join("/static", target)) in PAGES, target


@pytest.mark.parametrize("path", SCRIPTS)
def test_no_text_becomes_markup(path: str) -> None:
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
    assert re.search(sinks, text(path)) is None


@pytest.mark.parametrize("path", sorted(PAGES))
def test_no_address_of_anybody_else(path: str) -> None:
    assert re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)\w+\.\w", text(path)) == []
