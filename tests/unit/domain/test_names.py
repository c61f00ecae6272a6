"""Names of endpoints and aliases of columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.domain.errors import InvalidName
from modelway.domain.names import alias_of, check_name


@pytest.mark.parametrize("name", ["iris", "7", "loan-v2", "a.b_c", "x" * 128])
def test_a_usable_name_is_returned(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "a b", "é", "x" * 129, "a\n"])
def test_any_other_name_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name(name)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("sepal length (cm)", "sepal_length_cm"),
        ("ApplicantIncome", "ApplicantIncome"),
        ("v(g)", "v_g"),
        ("Größe", "Groe"),
        ("crème brûlée", "creme_brulee"),
        ("年齢", "column_4"),
        ("  ", "column_4"),
    ],
)
def test_an_alias_is_what_is_safe_of_a_name(name: str, alias: str) -> None:
    assert alias_of(name, 3) == alias


@given(st.text(), st.integers(0, 1000))
def test_an_alias_is_always_safe_in_a_url(name: str, position: int) -> None:
    alias = alias_of(name, position)
    assert alias
    assert alias.replace("_", "").isalnum() or set(alias) <= {"_"}
    assert alias.isascii()
