"""Claims: what may be said of a prediction, and what is refused with a word of why."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from modelway.domain.errors import InvalidInput, MalformedPayload, PayloadTooLarge
from modelway.records.labelling import (
    MOST_CLAIMS,
    Claim,
    label_of,
    place_of,
    portions,
    read_claims,
    split_row,
    value_in,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        {"prediction_id": "a", "value": "1"},
        [{"prediction_id": "a", "value": "1"}],
        {"labels": [{"prediction_id": "a", "value": "1"}]},
    ],
)
def test_one_or_many_are_read_and_text_stays_text(body: object) -> None:
    (claim,) = read_claims(json.dumps(body).encode())
    assert claim == Claim("a", value="1")
    assert type(claim.value) is str


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"value": 1}, "prediction_id"),
        ({"prediction_id": "a"}, "value: expected a number"),
        ({"prediction_id": "a", "value": None}, "got null"),
        ({"prediction_id": "a", "value": [1]}, r"got \[1\]"),
        ({"prediction_id": "a", "value": {}}, "got {}"),
        ({"prediction_id": "a", "value": 1, "row": -1}, "row: expected a whole number"),
        ({"prediction_id": "a", "value": 1, "row": "x"}, r"\$.labels\[1\].row"),
        ({"prediction_id": "", "value": 1}, "prediction_id: expected 1 to 255"),
        ({"prediction_id": "x" * 256, "value": 1}, "prediction_id: expected 1 to 255"),
        ({"prediction_id": "a", "value": 1, "at": "2026-11-21T12:00:00"}, "with its zone"),
        ({"prediction_id": "a", "value": 1, "at": "yesterday"}, "RFC3339"),
        ({"prediction_id": "a", "verdict": "perhaps"}, "perhaps"),
        ({"prediction_id": "a", "verdict": "confirm", "value": 1}, "leave value out"),
        ({"prediction_id": "a", "value": 1, "reason": "x"}, "reason"),
        (7, "labels"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(claim: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read_claims(json.dumps([{"prediction_id": "good", "value": 1}, claim]).encode())
    assert "1" in caught.value.message


def test_what_is_no_json_and_what_is_too_much_is_refused() -> None:
    with pytest.raises(MalformedPayload):
        read_claims(b"{")
    many = [{"prediction_id": "a", "value": 1}] * (MOST_CLAIMS + 1)
    with pytest.raises(PayloadTooLarge, match=f"takes {MOST_CLAIMS}"):
        read_claims(json.dumps(many).encode())
    assert len(read_claims(json.dumps(many[1:]).encode())) == MOST_CLAIMS


@pytest.mark.parametrize(
    ("claim", "place"),
    [
        (Claim("a"), ("a", 0)),
        (Claim("a:3"), ("a", 3)),
        (Claim("a:3", row=2), ("a:3", 2)),
        (Claim("a:b"), ("a:b", 0)),
        (Claim("a:1:2"), ("a:1", 2)),
    ],
)
def test_a_row_stands_behind_the_id_or_beside_it(claim: Claim, place: tuple[str, int]) -> None:
    assert place_of(claim) == place
    assert split_row("a:٣") == ("a:٣", None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1", 1), ("-3", -3), ("1.0", 1.0), ("2e3", 2000.0), ("true", True), ("false", False)),
        *(("007", "007"), ("True", "True"), ("nan", "nan"), ("1_0", "1_0"), (" 1", " 1")),
        ("good", "good"),
    ],
)
def test_a_cell_is_a_number_only_as_json_has_it(text: str, value: object) -> None:
    found = value_in(text)
    assert (type(found), found) == (type(value), value)


def test_a_number_without_end_is_no_value() -> None:
    with pytest.raises(InvalidInput, match="finite"):
        value_in("1e999")


def test_who_says_so_is_whoever_is_named_or_sent_it() -> None:
    assert label_of(Claim("a", value=1), 1, "ann", NOON).source == "ann"
    named = label_of(Claim("a:2", value=1, source="bank", at=NOON), 1, "ann", datetime.now(UTC))
    assert (named.source, named.at, named.row) == ("bank", NOON, 2)


def test_portions_keep_order_and_stay_small() -> None:
    claims = [Claim(f"p-{k}", value="x" * (200_000 if k % 3 == 0 else 1)) for k in range(10)]
    found = list(portions(claims))
    assert [claim for portion in found for claim in portion] == claims
    assert len(found) > 1
    assert list(portions([])) == []
    assert [len(one) for one in portions([Claim("a", value=1)] * 4_500)] == [2_000, 2_000, 500]
