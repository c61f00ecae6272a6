"""Answers of the Open Inference Protocol: outputs as JSON, or as bytes behind it.

Data is flat in row order. JSON has no NaN and no infinity: they become null, which Triton's client
reads as NaN again; as bytes they are what they are.

Source: Open Inference Protocol, "HTTP/REST", Inference; Triton Inference Server, "Binary Tensor
Data Extension".
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelway.domain.errors import InvalidInput, OutputInvalid
from modelway.domain.inference import InferenceResponse
from modelway.domain.signature import Datatype
from modelway.inference.classification import largest
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import NamedTensor, tensors_of
from modelway.inference.raw_contents import Raw, raw_of
from modelway.rest.oip_binary import SIZE
from modelway.rest.oip_requests import Asked, WantedOutput

_encode = msgspec.json.Encoder().encode


def write_answer(
    asked: Asked, model: LoadedModel, response: InferenceResponse
) -> tuple[bytes, list[Raw]]:
    """The JSON of an answer, and the tensors that go behind it.

    Raises:
        InvalidInput: an output is asked for that there is not, or not in this form.
        OutputInvalid: the model gave something that cannot be written.
    """
    raws: list[Raw] = []
    content: dict[str, Any] = {
        "model_name": response.endpoint,
        "model_version": response.version,
    }
    if asked.id is not None:
        content["id"] = asked.id
    if asked.wanted is None:
        tensors = tensors_of(model, response)
        content["outputs"] = [_written(one, asked.binary, raws) for one in tensors]
    else:
        tensors = tensors_of(model, response, [one.name for one in asked.wanted])
        content["outputs"] = [
            _written(_shown(one, wanted, model, response), wanted.binary, raws)
            for one, wanted in zip(tensors, asked.wanted, strict=True)
        ]
    try:
        return _encode(content), raws
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputInvalid(f"an output cannot be written as JSON: {error}") from error


def _shown(
    tensor: NamedTensor, wanted: WantedOutput, model: LoadedModel, response: InferenceResponse
) -> NamedTensor:
    return largest(tensor, wanted.classes, model, response) if wanted.classes else tensor


def _written(tensor: NamedTensor, binary: bool, raws: list[Raw]) -> dict[str, Any]:
    """An output in JSON; one that is to be binary is put behind it."""
    written: dict[str, Any] = {
        "name": tensor.name,
        "datatype": tensor.datatype.value,
        "shape": tensor.array.shape,
    }
    if not binary:
        written["data"] = _data(tensor)
        return written
    raw = raw_of(tensor.datatype, tensor.array)
    raws.append(raw)
    written["parameters"] = {SIZE: len(raw)}
    return written


def _data(tensor: NamedTensor) -> list[Any]:
    elements: list[Any] = tensor.array.ravel().tolist()
    if tensor.datatype is Datatype.FP16:
        raise InvalidInput(
            f"{tensor.name} is of FP16, which JSON does not have",
            hint="ask for it with binary_data, or for all with binary_data_output",
        )
    if tensor.datatype is not Datatype.BYTES:
        return elements
    try:
        return [one.decode() if isinstance(one, bytes) else one for one in elements]
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{tensor.name} is not text, and JSON has nothing else for BYTES",
            hint="ask for it with binary_data, or for all with binary_data_output",
        ) from None
