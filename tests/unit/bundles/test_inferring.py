"""Signatures put together from several sources."""

from __future__ import annotations

import pytest

from modelway.bundles.inferring import ColumnFacts, SignatureFacts, is_counted, matched, merged
from modelway.domain.errors import InvalidSignature
from modelway.domain.signature import Column, Datatype, Signature, TensorSpec, columns_named


def facts(*names: str, origin: str = "signature.toml", more: bool = False) -> SignatureFacts:
    columns = tuple(ColumnFacts(name) for name in names)
    return SignatureFacts(origin, columns, may_have_more=more)


def names(signature: Signature) -> list[str]:
    return [column.name for column in signature.columns]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["x1", "x2", "x3"], True),
        (["Column_0", "Column_1"], True),
        (["0", "1"], True),
        (["x2", "x1"], False),
        (["x2", "x3"], False),
        (["x1", "y2"], False),
        (["age", "income"], False),
        ([], False),
    ],
)
def test_names_that_only_count(given: list[str], expected: bool) -> None:
    assert is_counted(given) is expected


def test_the_better_source_wins_field_by_field() -> None:
    explicit = SignatureFacts("toml", (ColumnFacts("a", unit="m", minimum=0.0),))
    data = SignatureFacts(
        "rows.csv",
        (ColumnFacts("a", minimum=1.0, maximum=2.0), ColumnFacts("b", nullable=True)),
        may_have_more=True,
    )
    a, b = merged([explicit, data], Signature(columns_named(["a", "b"]))).columns
    assert (a.unit, a.minimum, a.maximum, a.nullable) == ("m", 0.0, 2.0, False)
    assert (b.datatype, b.nullable) == (Datatype.FP64, True)


def test_an_alias_is_made_of_the_name_unless_a_better_source_has_one() -> None:
    own = Signature(tuple(Column(name, name, Datatype.FP64) for name in ("a b", "a_b", "c d")))
    with pytest.raises(InvalidSignature, match="would both be called 'a_b'"):
        merged([], own)
    explicit = SignatureFacts("toml", (ColumnFacts("a b", alias="first"),))
    assert [c.alias for c in merged([explicit], own).columns] == ["first", "a_b", "c_d"]


def test_the_model_chooses_and_orders_the_columns_of_its_training_data() -> None:
    signature = merged(
        [facts("id", "a", "b", "c", more=True)], Signature(columns_named(["c", "a"]))
    )
    assert names(signature) == ["c", "a"]


def test_counted_names_give_way_to_real_ones() -> None:
    own = Signature(columns_named(["x1", "x2"]))
    assert names(merged([facts("a", "b", more=True)], own)) == ["a", "b"]
    assert names(merged([facts("x1", "x2"), facts("a", "b", more=True)], own)) == ["a", "b"]
    assert names(merged([facts("f0", "f1", more=True)], own)) == ["x1", "x2"]


def test_names_are_matched_before_they_are_counted() -> None:
    assert matched(["x2", "x1"], ["x1", "x2"]) == {"x2": "x2", "x1": "x1"}
    assert matched(["age", "sex"], ["x1", "x2"]) == {"age": "x1", "sex": "x2"}
    assert matched(["a_(cm)"], ["b", "a (cm)"]) == {"a_(cm)": "a (cm)"}


@pytest.mark.parametrize(
    ("source", "own", "said"),
    [
        (facts("a", more=True), ["a", "b"], "has no column b"),
        (facts("a", "z"), ["a", "b"], "names what the model does not take: z"),
        (facts("a", "b", "c", more=True), ["x1", "x2"], "takes 2 columns and does not know"),
        (facts("a", "a"), ["a", "b"], "names a column twice"),
    ],
)
def test_what_contradicts_the_model_is_refused(
    source: SignatureFacts, own: list[str], said: str
) -> None:
    with pytest.raises(InvalidSignature, match=said):
        merged([source], Signature(columns_named(own)))


def test_without_the_models_word_the_best_source_has_the_columns() -> None:
    assert names(merged([facts("b", "a"), facts("a", "b", "c", more=True)], None)) == ["b", "a"]
    with pytest.raises(InvalidSignature, match="nothing says"):
        merged([], None)


def test_tensors_of_the_model_stay_unless_a_source_describes_them_better() -> None:
    own = Signature(tensors=(TensorSpec("image", Datatype.FP32, (-1, 3)),))
    assert merged([], own).tensors == own.tensors
    better = TensorSpec("image", Datatype.FP32, (-1, 3), description="a pixel")
    assert merged([SignatureFacts("toml", tensors=(better,))], own).tensors == (better,)
    with pytest.raises(InvalidSignature, match="has columns; the model takes tensors"):
        merged([facts("a")], own)


def test_what_does_not_belong_to_the_datatype_is_left_out() -> None:
    column = ColumnFacts("a", datatype=Datatype.STRING, categories=("x",), minimum=1.0, closed=True)
    (found,) = merged([SignatureFacts("toml", (column,))], None).columns
    assert (found.categories, found.minimum, found.closed) == (None, None, False)
