"""The pages for people: a form for every model, and the API described.

Everything is a file under ``static``, written by hand: no framework, nothing fetched from
elsewhere. The pages know nothing but what the service answers, so they are the same for every
service and are read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

_PAGES = {"index.html": "/", "docs.html": "/docs"}

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def pages() -> Mapping[str, tuple[str, bytes]]:
    """Content type and body by path: ``/``, ``/docs``, and what they load from ``/static/``.

    All links in them are relative, so they work behind any path prefix.
    """
    found = {}
    for file in (resources.files(__name__) / "static").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            path = _PAGES.get(file.name, f"/static/{file.name}")
            found[path] = (_TYPES[suffix], file.read_bytes())
    return found
