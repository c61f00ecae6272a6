"""The largest values of an output in words: ``value:position``, ``value:position:label``.

Source: Triton Inference Server, "Classification Extension".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelway.domain.errors import InvalidInput
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Datatype
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import PROBABILITIES, NamedTensor


def largest(
    tensor: NamedTensor, n_classes: int, model: LoadedModel, response: InferenceResponse
) -> NamedTensor:
    """The ``n_classes`` largest values of each row as BYTES, the largest first.

    Of equal ones the first is the larger. Labels stand there where the positions are those of the
    model's classes. An output of one axis is one row.

    Raises:
        InvalidInput: the output has no numbers.
    """
    array = tensor.array
    if not tensor.datatype.is_number or not array.ndim:
        raise InvalidInput(f"{tensor.name} has no numbers to tell classes by")
    labels: Sequence[str] = ()
    if tensor.name == PROBABILITIES and response.classes:
        names = model.signature.label_names
        labels = [names.get(str(label), str(label)) for label in response.classes]
    rows = array.reshape(1, -1) if array.ndim == 1 else array.reshape(len(array), -1)
    places = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :n_classes]
    texts = np.empty(places.shape, dtype=object)
    for row, found in enumerate(places.tolist()):
        for rank, place in enumerate(found):
            text = f"{rows[row, place]:f}:{place}"
            texts[row, rank] = f"{text}:{labels[place]}" if labels else text
    return NamedTensor(tensor.name, Datatype.BYTES, texts[0] if array.ndim == 1 else texts)
