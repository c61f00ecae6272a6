"""The generated pages of the reference are those of the code beside them."""

from __future__ import annotations

import pytest

from modelway.cli.reference import pages
from support.live import ROOT


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_page_is_current(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / name).read_text()
    assert committed == pages()[name], "make docs writes it anew"
