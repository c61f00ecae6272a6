"""Endpoints in a file: what it may say, and what changes because of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelway.domain.errors import InvalidInput, InvalidName
from modelway.endpoints.declared import (
    Change,
    FieldChange,
    as_declared,
    changes,
    declared,
    meant,
    read_declared,
)
from modelway.endpoints.endpoint import Bounds, Canary, Endpoint

WHOLE = """
[endpoints.loan]
live = "loan@champion"
split_by = "header:customer"
automatic = true
canaries = { "loan:8" = "5%", "loan:7" = 0.1 }
shadows = ["loan:9"]

[endpoints.loan.bounds]
error_ratio = 0.02
requests = 100

[endpoints.iris]
live = "iris:1"
"""
LOAN = Endpoint(
    "loan",
    "loan@champion",
    (Canary("loan:8", 0.05), Canary("loan:7", 0.1)),
    ("loan:9",),
    split_by="header:customer",
    automatic=True,
    bounds=Bounds(0.02, 3.0, 100),
)
IRIS = Endpoint("iris", "iris:1")


def test_a_file_says_the_whole_of_its_endpoints() -> None:
    assert declared(read_declared(WHOLE)) == {"loan": LOAN, "iris": IRIS}
    assert declared({}) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpoints = 3", "endpoints: expected a table, got 3"),
        ("[endpoint.loan]\nlive = 'loan:1'", "'endpoint' that is not known"),
        ("[endpoints.loan]\nlive = 'loan:1'\nlife = 2", "endpoints.loan has a key 'life'"),
        ("[endpoints.loan]\nshadows = []", "endpoints.loan has no live"),
        ("[endpoints.loan]\nlive = 7", "endpoints.loan.live: expected a text, got 7"),
        ("[endpoints.loan]\nlive = 'loan:x'", "a whole number from 1"),
        ("[endpoints.loan]\nlive = 'loan:1'\nautomatic = 1", "automatic: expected true or false"),
        ("[endpoints.loan]\nlive = 'loan:1'\nshadows = 'loan:2'", "shadows: expected an array"),
        ("[endpoints.loan]\nlive = 'loan:1'\nshadows = ['loan:1']", "in two roles"),
        ("[endpoints.loan]\nlive = 'loan:1'\ncanaries = ['loan:2']", "canaries: expected a table"),
        ("[endpoints.loan]\nlive = 'loan:1'\ncanaries = {'loan:2' = 'x'}", "canaries.loan:2: exp"),
        ("[endpoints.loan]\nlive = 'loan:1'\ncanaries = {'loan:2' = true}", "expected a number"),
        ("[endpoints.loan]\nlive = 'loan:1'\ncanaries = {'loan:2' = '100%'}", "not between 0 and"),
        ("[endpoints.loan]\nlive = 'loan:1'\ncanaries = {'loan:2' = nan}", "not between 0 and"),
        ("[endpoints.loan]\nlive = 'loan:1'\nsplit_by = 'me'", "cannot be split by 'me'"),
        ("[endpoints.loan]\nlive = 'loan:1'\n[endpoints.loan.bounds]\nerrors = 1", "key 'errors'"),
        ("[endpoints.loan]\nlive = 'loan:1'\nbounds = {requests = 1.5}", "expected a whole number"),
        ("[endpoints.loan]\nlive = 'loan:1'\nbounds = {error_ratio = 2}", "bounds of loan cannot"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        declared(read_declared(text))


def test_known_keys_are_named_where_one_is_not() -> None:
    with pytest.raises(InvalidInput) as caught:
        declared(read_declared("[endpoints.loan]\nlive = 'loan:1'\nlife = 2"))
    assert caught.value.hint is not None
    assert "live, split_by, automatic, canaries, shadows, bounds" in caught.value.hint


def test_names_are_those_of_endpoints_and_toml_is_toml() -> None:
    with pytest.raises(InvalidName):
        declared(read_declared("[endpoints.'a b']\nlive = 'loan:1'"))
    with pytest.raises(InvalidInput, match="not TOML"):
        read_declared("[endpoints")


def test_what_is_so_already_changes_nothing() -> None:
    salted = replace(LOAN, salt="s", canaries=tuple(reversed(LOAN.canaries)))
    assert changes({"loan": salted}, {"loan": LOAN}, prune=True) == []


def test_what_differs_is_said_field_by_field_and_removed_only_where_pruned() -> None:
    before = {"loan": LOAN, "old": IRIS}
    now = replace(LOAN, live="loan:9", canaries=(), shadows=(), bounds=Bounds())
    wanted = {"loan": now, "iris": IRIS}
    loan = Change(
        "loan",
        "changed",
        (
            FieldChange("live", "loan@champion", "loan:9"),
            FieldChange("canaries", "loan:7 10%, loan:8 5%", ""),
            FieldChange("shadows", "loan:9", ""),
            FieldChange("bounds.error_ratio", "0.02", "0.05"),
            FieldChange("bounds.requests", "100", "50"),
        ),
    )
    created = Change("iris", "created", (FieldChange("live", "", "iris:1"),))
    assert changes(before, wanted, prune=False) == [created, loan]
    assert changes(before, wanted, prune=True) == [created, loan, Change("old", "removed")]


def test_the_salt_of_an_endpoint_stays() -> None:
    assert as_declared(replace(LOAN, salt="s"), IRIS).salt == "s"


def test_a_remote_shadow_is_declared_by_its_name() -> None:
    found = declared({"endpoints": {"loan": {"live": "loan:7", "shadows": ["remote:old"]}}})
    assert found["loan"].shadows == ("remote:old",)
    assert meant(found["loan"], lambda text: text) == found["loan"]
