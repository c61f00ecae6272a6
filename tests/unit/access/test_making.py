from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from modelway.access.keys import Scope
from modelway.access.making import new_key, parts_of, scopes_of
from modelway.domain.errors import InvalidInput, InvalidName

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


def make(**changed: Any) -> Any:
    given: dict[str, Any] = {
        "name": "ci",
        "scopes": ["predict"],
        "endpoints": (),
        "rate_per_s": 0,
        "now": NOW,
    }
    return new_key(**{**given, **changed})


def test_a_key_is_what_was_asked_for_and_its_text_is_not_in_it() -> None:
    key, text = make(scopes=["read", "predict"], endpoints=["loan-*", "iris"], rate_per_s=2.5)
    assert (key.name, key.created_at, key.rate_per_s) == ("ci", NOW, 2.5)
    assert key.scopes == {Scope.READ, Scope.PREDICT}
    assert key.endpoints == ("loan-*", "iris")
    assert key.revoked_at is None and key.used_at is None
    prefix, id, secret = text.split("_", 2)
    assert (prefix, id) == ("mw", key.id)
    assert 8 <= len(id) <= 12
    assert len(secret) * 6 >= 256
    assert secret not in repr(key)
    assert key.secret_sha256 == sha256(secret.encode()).digest()
    assert key.actor == f"ci:{id}"


def test_the_parts_of_a_text_are_found_again_whatever_its_secret_looks_like() -> None:
    for _ in range(200):
        key, text = make()
        assert parts_of(text) == (key.id, key.secret_sha256)


def test_no_two_keys_are_alike() -> None:
    texts = {make()[1] for _ in range(1000)}
    assert len(texts) == 1000
    assert len({text.split("_")[1] for text in texts}) == 1000


@pytest.mark.parametrize("text", ["", "mw_", "mw", "xx_abc_def", "abc_def", "mw__secret", "\ud800"])
def test_what_is_no_key_names_no_id(text: str) -> None:
    id, digest = parts_of(text)
    assert id == ""
    assert len(digest) == 32


@pytest.mark.parametrize("scopes", [["write"], ["predict", "Predict"], ["predict,read"], [""]])
def test_an_unknown_scope_is_named_and_all_others_are_listed(scopes: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(scopes=scopes)
    assert repr(scopes[-1]) in refused.value.message
    assert "predict, label, read, deploy, approve, admin" in refused.value.message


def test_a_key_needs_a_scope() -> None:
    with pytest.raises(InvalidInput, match="at least one scope; there is: predict, "):
        scopes_of([])


@pytest.mark.parametrize("name", ["", " ci", "ci ", "a\nb", "a\x00", "x" * 129, "a\u202eb"])
def test_a_name_can_be_shown(name: str) -> None:
    with pytest.raises(InvalidName):
        make(name=name)


@pytest.mark.parametrize("name", ["ci", "Ada's laptop", "équipe crédit", "x" * 128])
def test_a_name_is_for_people(name: str) -> None:
    assert make(name=name)[0].name == name


@pytest.mark.parametrize(
    "pattern", ["", "[ab]", "loan/*", "a b", "-x", ".x", "{a,b}", "x" * 129, "loan\n", "é*"]
)
def test_a_pattern_is_one_of_names(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="is no pattern of endpoints"):
        make(endpoints=[pattern])


def test_patterns_are_kept_once_in_their_order() -> None:
    assert make(endpoints=["b*", "a?", "*", "b*"])[0].endpoints == ("b*", "a?", "*")


def test_patterns_are_not_without_number() -> None:
    with pytest.raises(InvalidInput, match="at most 100"):
        make(endpoints=[f"e{k}" for k in range(101)])


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_is_a_number_from_0_on(rate: float) -> None:
    with pytest.raises(InvalidInput, match="requests per second"):
        make(rate_per_s=rate)


def test_a_key_for_everything_is_not_bound_to_endpoints() -> None:
    with pytest.raises(InvalidInput, match="allows everything"):
        make(scopes=["admin", "read"], endpoints=["loan"])
