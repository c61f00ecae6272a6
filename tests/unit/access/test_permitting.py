from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from modelway.access.keys import Key, Scope
from modelway.access.permitting import is_for, permit, permit_endpoint
from modelway.domain.errors import Forbidden


def key_of(*scopes: Scope, endpoints: tuple[str, ...] = ()) -> Key:
    now = datetime(2024, 5, 17, tzinfo=UTC)
    return Key("abcdefghij", "ci", b"\0" * 32, frozenset(scopes), endpoints, now)


@pytest.mark.parametrize(("has", "wanted"), list(product(Scope, Scope)))
def test_a_scope_allows_itself_and_admin_all(has: Scope, wanted: Scope) -> None:
    if has in (wanted, Scope.ADMIN):
        permit(key_of(has), frozenset((wanted,)), "loan")
        return
    with pytest.raises(Forbidden) as refused:
        permit(key_of(has), frozenset((wanted,)), "loan")
    assert f"the scope {wanted} is missing" in refused.value.message
    assert has not in refused.value.message, "what else the key allows is not said"


def test_one_of_several_scopes_is_enough() -> None:
    wanted = frozenset((Scope.PREDICT, Scope.READ))
    for scope in wanted:
        permit(key_of(scope), wanted, None)
    with pytest.raises(Forbidden, match="the scope predict or read is missing"):
        permit(key_of(Scope.LABEL), wanted, None)


@pytest.mark.parametrize(
    ("patterns", "endpoint", "fits"),
    [
        ((), "loan", True),
        ((), None, True),
        (("loan",), "loan", True),
        (("loan",), "loan-eu", False),
        (("loan",), "xloan", False),
        (("loan",), "Loan", False),
        (("loan",), "loan\n", False),
        (("loan",), "", False),
        (("loan-*",), "loan-", True),
        (("loan-*",), "loan-eu.1", True),
        (("loan-*",), "loan", False),
        (("loan-?",), "loan-1", True),
        (("loan-?",), "loan-12", False),
        (("a.b",), "a.b", True),
        (("a.b",), "axb", False),
        (("iris", "*-eu"), "loan-eu", True),
        (("iris", "*-eu"), "iris", True),
        (("iris", "*-eu"), "iris-us", False),
        (("*",), "anything", True),
        (("loan",), None, False),
        (("*",), None, False),
    ],
)
def test_endpoints_are_those_whose_whole_name_fits(
    patterns: tuple[str, ...], endpoint: str | None, fits: bool
) -> None:
    key = key_of(Scope.DEPLOY, endpoints=patterns)
    assert is_for(key, endpoint) is fits
    if fits:
        permit_endpoint(key, endpoint)
        return
    with pytest.raises(Forbidden) as refused:
        permit_endpoint(key, endpoint)
    for pattern in patterns:
        if pattern != endpoint and len(pattern) > 1 and pattern not in str(endpoint):
            assert pattern not in refused.value.message


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    key = key_of(Scope.PREDICT, endpoints=("*a" * 60 + "b",))
    assert not is_for(key, "a" * 10_000)


def test_admin_is_for_every_endpoint() -> None:
    permit(key_of(Scope.ADMIN, endpoints=("loan",)), frozenset((Scope.DEPLOY,)), "iris")
