from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Datatype
from modelway.inference.classification import largest
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import PROBABILITIES, NamedTensor
from support.served import FLOWER, compiled_bundle, flower_graph, loaded

RESPONSE = InferenceResponse("iris", "7", "the-id", {}, 1, classes=(0, 1, 2))


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    bundle = compiled_bundle(tmp_path / "iris", flower_graph(), FLOWER, classes=(0, 1, 2))
    return loaded(bundle, "iris")


def test_probabilities_are_told_with_their_labels(model: LoadedModel) -> None:
    chances = NamedTensor(PROBABILITIES, Datatype.FP64, np.array([[0.5, 0.2, 0.3], [0, 0, 1]]))
    told = largest(chances, 2, model, RESPONSE)
    assert (told.name, told.datatype) == (PROBABILITIES, Datatype.BYTES)
    assert told.array.tolist() == [
        ["0.500000:0:setosa", "0.300000:2:virginica"],
        ["1.000000:2:virginica", "0.000000:0:setosa"],
    ]


def test_other_numbers_are_told_by_their_place(model: LoadedModel) -> None:
    scores = NamedTensor("scores", Datatype.INT32, np.array([3, 9, 9], np.int32))
    told = largest(scores, 5, model, RESPONSE)
    assert told.array.tolist() == ["9.000000:1", "9.000000:2", "3.000000:0"]


def test_what_is_no_number_is_refused(model: LoadedModel) -> None:
    label = NamedTensor("label", Datatype.BYTES, np.array([b"a"], dtype=object))
    with pytest.raises(InvalidInput, match="label"):
        largest(label, 1, model, RESPONSE)
