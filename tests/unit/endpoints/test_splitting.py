"""The split: even, sticky, monotonic in the weight, independent between endpoints."""

from __future__ import annotations

import numpy as np
import pytest

from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceRequest
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.endpoints.splitting import check_weights, key_of, place, share

KEYS = [f"caller {k}" for k in range(20_000)]

SIGNATURE = Signature(
    columns=(Column("income", "income", Datatype.FP64), Column("town", "town", Datatype.STRING))
)


def request(income: object, town: str | None, **headers: str) -> InferenceRequest:
    arrays = (np.array([income]), np.array([town], dtype=object))
    return InferenceRequest("loan", Table(SIGNATURE, 1, arrays=arrays), "id", headers=headers)


def test_a_share_is_even() -> None:
    shares = np.array([share("loan", key) for key in KEYS])
    counts, _ = np.histogram(shares, bins=20, range=(0.0, 1.0))
    # 1,000 a bin; a deviation of six standard deviations has a chance of 2e-9.
    assert abs(counts - 1000).max() < 6 * np.sqrt(1000 * 0.95)


def test_a_caller_stays_when_a_weight_grows() -> None:
    small = {key for key in KEYS if place(share("loan", key), [0.05]) == 0}
    large = {key for key in KEYS if place(share("loan", key), [0.2]) == 0}
    assert small < large
    assert 0.04 < len(small) / len(KEYS) < 0.06


def test_two_endpoints_meet_other_callers() -> None:
    one = {key for key in KEYS if share("one", key) < 0.1}
    two = {key for key in KEYS if share("two", key) < 0.1}
    assert 0.005 < len(one & two) / len(KEYS) < 0.015


def test_shares_lie_one_after_the_other() -> None:
    assert [place(at, [0.1, 0.3]) for at in (0.0, 0.099, 0.1, 0.399, 0.4, 0.999)] == [
        *(0, 0, 1, 1),
        *(None, None),
    ]


@pytest.mark.parametrize("weights", [[0.0], [1.0], [-0.1], [0.5, 0.5], [0.9, 0.2]])
def test_weights_that_leave_the_live_version_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(InvalidInput, match="weight"):
        check_weights(weights)


def test_a_key_is_a_header_a_column_or_the_id() -> None:
    asked = request(5.0, "Ulm", customer="c1")
    assert key_of("header:Customer", SIGNATURE)(asked) == "c1"
    assert key_of("field:town", SIGNATURE)(asked) == "Ulm"
    assert key_of("", SIGNATURE)(asked) == "id"
    assert key_of("header:other", SIGNATURE)(asked) == "id"


def test_a_number_is_one_key_whatever_its_width() -> None:
    key = key_of("field:income", SIGNATURE)
    found = {key(request(kind(5), "Ulm")) for kind in (np.int64, np.float64, np.float32)}
    assert found == {"5.0"}


def test_a_request_without_an_id_is_given_one_and_keeps_it() -> None:
    asked = request(5.0, "Ulm")
    asked.prediction_id = None
    key = key_of("", SIGNATURE)
    assert key(asked) == key(asked) == asked.prediction_id


@pytest.mark.parametrize("split_by", ["town", "header:", "field:age", "cookie:a"])
def test_what_is_no_key_is_refused(split_by: str) -> None:
    with pytest.raises(InvalidInput, match="split by"):
        key_of(split_by, SIGNATURE)
