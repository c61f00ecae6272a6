"""The table of what compiles: what the README and the issue of exactness promise of it holds."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from support.live import ROOT

MUST = (
    *("GradientBoostingClassifier", "GradientBoostingRegressor"),
    *("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
    *("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier"),
    *("DecisionTreeClassifier", "LogisticRegression", "LinearRegression", "Ridge"),
    *("SVC", "SVR", "LinearSVC", "NuSVC"),
    *("HistGradientBoostingClassifier on gaps and categories",),
    *("imputers, scaling, one-hot, forest on gaps",),
    *("XGBClassifier on gaps", "LGBMClassifier on gaps", "CatBoostClassifier on gaps"),
)


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """The module that makes the page."""
    spec = importlib.util.spec_from_file_location("compiled_page", ROOT / "bench/compiled_page.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def test_nine_in_ten_are_compiled_and_the_usual_ones_among_them(page: ModuleType) -> None:
    _, lines = page.read()
    passed, plain = page.share(lines)
    assert plain >= 71
    assert passed / plain >= 0.9
    compiled = {line.name for line in lines if line.compiled}
    assert compiled.issuperset(MUST)
    assert [line.name for line in lines if line.compiled and line.flips] == []


def test_the_page_is_made_from_the_figures(page: ModuleType) -> None:
    assert page.PAGE.read_text() == page.page(*page.read())
