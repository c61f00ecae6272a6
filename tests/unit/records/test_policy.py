"""Which predictions are recorded, and what of them."""

from __future__ import annotations

import pytest

from modelway.domain.errors import BadValue
from modelway.domain.identifiers import new_prediction_id
from modelway.records.policy import EndpointPolicy, RecordingPolicy, hashed_text


def test_a_rate_keeps_about_its_share_and_the_same_ids_each_time() -> None:
    ids = [new_prediction_id() for _ in range(20_000)]
    tenth, half = EndpointPolicy(0.1), EndpointPolicy(0.5)
    kept = {one for one in ids if tenth.keeps(one)}
    assert 1_800 < len(kept) < 2_200
    assert kept == {one for one in ids if EndpointPolicy(0.1).keeps(one)}
    assert kept <= {one for one in ids if half.keeps(one)}


def test_all_and_none_are_kept_at_the_ends() -> None:
    ids = [new_prediction_id() for _ in range(100)]
    assert all(EndpointPolicy(1.0).keeps(one) for one in ids)
    assert not any(EndpointPolicy(0.0).keeps(one) for one in ids)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(BadValue, match="from 0 to 1"):
        EndpointPolicy(rate)


def test_hashing_needs_a_key_that_fits() -> None:
    hashing = EndpointPolicy(hashed=frozenset(["name"]))
    with pytest.raises(BadValue, match="there is none"):
        RecordingPolicy(hashing)
    with pytest.raises(BadValue, match="64 bytes, got 65"):
        RecordingPolicy(endpoints={"loan": hashing}, key=bytes(65))
    assert RecordingPolicy(endpoints={"loan": hashing}, key=b"k").of("loan") is hashing


def test_dropped_wins_over_hashed() -> None:
    policy = EndpointPolicy(dropped=frozenset("ab"), hashed=frozenset("bc"))
    assert [policy.form(name) for name in "abcd"] == ["dropped", "dropped", "hashed", "kept"]


def test_a_hash_depends_on_the_key_and_on_the_value_however_it_came() -> None:
    assert hashed_text(7, b"k") == hashed_text(7.0, b"k") == hashed_text("7", b"k")
    assert hashed_text("7", b"k") != hashed_text("7", b"l")
    assert len(hashed_text("", b"k")) == 32
