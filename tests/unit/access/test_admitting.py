from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelway.access import admitting
from modelway.access.admitting import Keys, claimed_id
from modelway.access.keys import Key, Scope
from modelway.access.making import new_key
from modelway.access.routes import ADMIN_ONLY, INFERENCE, OPEN, Rule
from modelway.domain.errors import Forbidden, ModelwayError, RateLimited, Unauthenticated
from modelway.inference.ports import Admission
from modelway.rest.http import Headers

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now_s: float = 1_715_949_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def key_of(*scopes: str, endpoints: tuple[str, ...] = (), rate: float = 0) -> tuple[Key, str]:
    return new_key("ci", scopes or ("predict",), endpoints, rate, NOW)


def bearer(text: str) -> dict[str, str]:
    return {"host": "localhost", "authorization": f"Bearer {text}"}


def refusal(keys: Keys, headers: Mapping[str, str], **asked: Any) -> ModelwayError:
    with pytest.raises(ModelwayError) as refused:
        keys.principal(asked.pop("endpoint", "loan"), headers, **asked)
    return refused.value


def test_who_calls_is_named_the_first_time_and_ever_after() -> None:
    key, text = key_of()
    keys: Admission = Keys([key])
    for _ in range(3):
        assert keys.principal("loan", bearer(text)) == f"ci:{key.id}"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer KEY"},
        {"authorization": "bearer KEY"},
        {"authorization": "BEARER   KEY"},
        {"x-api-key": "KEY"},
        {"x-api-key": " KEY "},
        {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": "KEY"},
        {"authorization": "Bearer eyJhbGciOi.of.a-proxy", "x-api-key": "KEY"},
        {"authorization": "Bearer KEY", "x-api-key": "of somebody else"},
    ],
)
def test_a_key_is_found_where_it_may_stand(headers: dict[str, str]) -> None:
    key, text = key_of()
    keys = Keys([key])
    brought = {name: value.replace("KEY", text) for name, value in headers.items()}
    assert keys.principal("loan", brought) == key.actor
    raw = {name.encode(): value.encode() for name, value in brought.items()}
    assert keys.principal("loan", Headers(raw)) == key.actor


def not_admitted() -> tuple[list[Key], Mapping[str, dict[str, str]]]:
    """Keys, and headers that bring none of them, by what is wrong with what they bring."""
    right, text = key_of()
    revoked, revoked_text = key_of()
    _, strange = key_of()
    id, secret = right.id, text.rpartition(f"{right.id}_")[2]
    keys = [right, replace(revoked, revoked_at=NOW)]
    return keys, {
        "nothing": {},
        "empty": {"authorization": "", "x-api-key": ""},
        "another scheme": {"authorization": f"Basic {text}"},
        "no scheme": {"authorization": text},
        "unknown": bearer(strange),
        "revoked": bearer(revoked_text),
        "the secret of another": bearer(f"mw_{revoked.id}_{secret}"),
        "wrong secret": bearer(f"{text[:-1]}{'A' if text[-1] != 'A' else 'B'}"),
        "more after it": bearer(text + "A"),
        "less of it": bearer(text[:-1]),
        "no secret": bearer(f"mw_{id}_"),
        "no id": bearer(f"mw__{secret}"),
        "other prefix": bearer(f"xx_{id}_{secret}"),
        "other case": bearer(f"MW_{id}_{secret}"),
        "not of this alphabet": bearer("mw_é\ud800_ü"),
        "very long": bearer("mw_" + "a" * 60_000),
    }


KEYS, NOT_ADMITTED = not_admitted()


@pytest.mark.parametrize("wrong", NOT_ADMITTED)
def test_no_key_and_every_wrong_one_are_refused_in_the_same_words(wrong: str) -> None:
    refused = refusal(Keys(KEYS), NOT_ADMITTED[wrong])
    nothing = refusal(Keys(KEYS), {})
    assert type(refused) is Unauthenticated
    assert (refused.message, refused.hint) == (nothing.message, nothing.hint)


@pytest.mark.parametrize("wrong", NOT_ADMITTED)
def test_secrets_are_compared_in_constant_time_whatever_is_wrong(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(admitting, "hmac", type("_", (), {"compare_digest": staticmethod(compare)}))
    refusal(Keys(KEYS), NOT_ADMITTED[wrong])
    ((brought, stored),) = compared
    assert len(brought) == len(stored) == 32


def test_a_wrong_key_is_not_remembered() -> None:
    keys = Keys(KEYS)
    for headers in NOT_ADMITTED.values():
        refusal(keys, headers)
    assert not keys._by_digest


def test_texts_are_remembered_within_bounds_and_all_keys_still_go() -> None:
    made = [key_of() for _ in range(30)]
    keys = Keys([key for key, _ in made], most_texts=8)
    for _ in range(3):
        for key, text in made:
            assert keys.principal("loan", bearer(text)) == key.actor
            assert len(keys._by_digest) <= 8


def test_names_that_callers_make_up_are_remembered_within_bounds() -> None:
    key, text = key_of(endpoints=("*",))
    keys = Keys([key])
    for k in range(3000):
        keys.principal(f"e{k}", bearer(text))
    assert len(keys._by_id[key.id].predicts) <= 1024


def test_a_text_is_not_kept_itself() -> None:
    key, text = key_of()
    keys = Keys([key])
    keys.principal("loan", bearer(text))
    (kept,) = keys._by_digest
    assert len(kept) == 32
    assert text.encode() not in kept


def test_a_revoked_key_is_refused_from_the_next_refresh_on() -> None:
    key, text = key_of()
    keys = Keys([key])
    keys.principal("loan", bearer(text))
    keys.refresh([replace(key, revoked_at=NOW)])
    assert type(refusal(keys, bearer(text))) is Unauthenticated
    keys.refresh([key])
    assert keys.principal("loan", bearer(text)) == key.actor
    keys.refresh([])
    assert type(refusal(keys, bearer(text))) is Unauthenticated


def test_a_changed_key_is_what_it_is_now() -> None:
    key, text = key_of("predict")
    keys = Keys([key])
    keys.principal("loan", bearer(text))
    keys.refresh([replace(key, scopes=frozenset((Scope.READ,)))])
    assert type(refusal(keys, bearer(text))) is Forbidden
    keys.refresh([replace(key, endpoints=("iris",))])
    assert type(refusal(keys, bearer(text))) is Forbidden
    assert keys.principal("iris", bearer(text)) == key.actor


@pytest.mark.parametrize("wanted", Scope)
@pytest.mark.parametrize("has", Scope)
def test_every_scope_against_every_other(has: Scope, wanted: Scope) -> None:
    key, text = key_of(has)
    keys = Keys([key])
    for _ in range(2):
        if has in (wanted, Scope.ADMIN):
            assert keys.principal("loan", bearer(text), wanted) == key.actor
        else:
            refused = refusal(keys, bearer(text), scope=wanted)
            assert type(refused) is Forbidden
            assert wanted in refused.message


def test_a_key_of_some_endpoints_is_refused_at_the_others_each_time() -> None:
    key, text = key_of(endpoints=("loan-*",))
    keys = Keys([key])
    for _ in range(2):
        assert keys.principal("loan-eu", bearer(text)) == key.actor
        refused = refusal(keys, bearer(text), endpoint="iris")
        assert type(refused) is Forbidden
        assert "'iris'" in refused.message and "loan-" not in refused.message
        assert type(refusal(keys, bearer(text), endpoint=None)) is Forbidden


def test_what_an_endpoint_allows_to_predict_it_does_not_allow_to_change() -> None:
    key, text = key_of("predict", endpoints=("loan",))
    keys = Keys([key])
    keys.principal("loan", bearer(text))
    assert type(refusal(keys, bearer(text), scope=Scope.DEPLOY)) is Forbidden


def test_a_key_may_be_used_as_often_as_it_says() -> None:
    clock = Clock()
    key, text = key_of(rate=3)
    keys = Keys([key], clock=clock)
    for _ in range(3):
        keys.principal("loan", bearer(text))
    refused = refusal(keys, bearer(text))
    assert type(refused) is RateLimited
    assert refused.retryable
    assert "3 requests a second in each worker" in refused.message
    assert refused.hint is not None and "retry_after_s=0.333" in refused.hint
    clock.now_s += 0.34
    assert keys.principal("loan", bearer(text)) == key.actor
    assert type(refusal(keys, bearer(text))) is RateLimited


def test_what_is_forbidden_counts_and_what_is_unknown_does_not() -> None:
    clock = Clock()
    key, text = key_of(rate=2)
    keys = Keys([key], clock=clock)
    for _ in range(5):
        refusal(keys, bearer(text + "x"))
    for _ in range(2):
        assert type(refusal(keys, bearer(text), scope=Scope.DEPLOY)) is Forbidden
    assert type(refusal(keys, bearer(text), scope=Scope.DEPLOY)) is RateLimited


def test_a_refresh_gives_nobody_more_and_a_new_rate_counts_at_once() -> None:
    clock = Clock()
    key, text = key_of(rate=2)
    keys = Keys([key], clock=clock)
    for _ in range(2):
        keys.principal("loan", bearer(text))
    keys.refresh([replace(key, used_at=NOW)])
    assert type(refusal(keys, bearer(text))) is RateLimited
    keys.refresh([replace(key, rate_per_s=4)])
    for _ in range(4):
        keys.principal("loan", bearer(text))
    assert type(refusal(keys, bearer(text))) is RateLimited
    keys.refresh([replace(key, rate_per_s=0)])
    for _ in range(100):
        keys.principal("loan", bearer(text))


def test_one_key_does_not_use_up_another() -> None:
    clock = Clock()
    (one, text), (other, other_text) = key_of(rate=1), key_of(rate=1)
    keys = Keys([one, other], clock=clock)
    keys.principal("loan", bearer(text))
    assert keys.principal("loan", bearer(other_text)) == other.actor
    assert type(refusal(keys, bearer(text))) is RateLimited


def test_the_last_use_is_told_until_it_is_stored() -> None:
    unix = Clock(1_715_949_000.123_456_789)
    (key, text), (idle, _) = key_of(), key_of()
    keys = Keys([key, idle], unix_s=unix)
    assert keys.used() == {}
    keys.principal("loan", bearer(text))
    at = keys.used()
    assert at == keys.used(), "what could not be stored is told again"
    assert list(at) == [key.id]
    assert abs(at[key.id] - datetime.fromtimestamp(unix.now_s, UTC)) < timedelta(milliseconds=1)
    keys.stored(at)
    assert keys.used() == {}
    unix.now_s += 60
    keys.principal("loan", bearer(text))
    assert keys.used()[key.id] - at[key.id] > timedelta(seconds=59)


def test_a_use_while_another_is_stored_is_told_next_and_revoking_loses_none() -> None:
    unix = Clock()
    key, text = key_of()
    keys = Keys([key], unix_s=unix)
    keys.principal("loan", bearer(text))
    first = keys.used()
    unix.now_s += 1
    keys.principal("loan", bearer(text))
    keys.stored(first)
    keys.refresh([replace(key, revoked_at=NOW)])
    assert keys.used() == {key.id: first[key.id] + timedelta(seconds=1)}
    keys.stored({"unknown": NOW})


def test_an_attempt_with_a_wrong_secret_is_no_use() -> None:
    key, text = key_of()
    keys = Keys([key])
    refusal(keys, bearer(text + "x"))
    assert keys.used() == {}


def test_a_rule_is_asked_as_a_scope_is() -> None:
    key, text = key_of("read")
    keys = Keys([key])
    assert keys.admit(OPEN, None, {}) is None
    describes = Rule(frozenset((Scope.PREDICT, Scope.READ)))
    assert keys.admit(describes, None, bearer(text)) == key.actor
    for rule in (INFERENCE, ADMIN_ONLY):
        with pytest.raises(Forbidden):
            keys.admit(rule, "loan", bearer(text))
    with pytest.raises(Unauthenticated):
        keys.admit(describes, None, {})


def test_a_caller_is_known_before_what_it_asks_about() -> None:
    key, text = key_of("label", endpoints=("loan",))
    keys = Keys([key])
    assert keys.caller(bearer(text), frozenset({Scope.LABEL})) == key
    with pytest.raises(Forbidden, match="the scope read is missing"):
        keys.caller(bearer(text), frozenset({Scope.READ}))
    with pytest.raises(Unauthenticated):
        keys.caller({}, frozenset({Scope.LABEL}))


def test_the_id_that_somebody_claims_is_no_secret_of_theirs() -> None:
    key, text = key_of()
    assert claimed_id(bearer(text)) == key.id
    assert claimed_id({"x-api-key": text[:-3] + "???"}) == key.id
    for other in ("mw_MySecretPassword_x", "hunter2", "mw_", "mw_" + "a" * 300 + "_b", ""):
        assert claimed_id(bearer(other)) == ""
    assert claimed_id({}) == ""
