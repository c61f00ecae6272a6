"""The Open Inference Protocol's own methods, and inference on a stream as Triton has it.

An answer's numbers are raw whatever form the request had. Parameters whose meaning Triton reserves
are heeded or left out; the others are the model's.

Source: Open Inference Protocol, "GRPC"; Triton Inference Server, "Parameters Extension",
"Schedule Policy Extension" and "Classification Extension".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version as version_of

import grpc
from google.protobuf.message import DecodeError, Message

from modelway.access.admitting import Keys
from modelway.domain.errors import EndpointNotFound, InvalidInput, ModelwayError, NotReady
from modelway.domain.identifiers import new_prediction_id
from modelway.domain.inference import InferenceRequest, InferenceResponse
from modelway.grpc import messages
from modelway.grpc.calls import Answer, Call, Calls, parsed
from modelway.grpc.contents import add_outputs, parameters_in, tensors_in
from modelway.grpc.guarding import guarded
from modelway.grpc.states import States
from modelway.grpc.statuses import Told
from modelway.inference.classification import largest
from modelway.inference.dataplane import DataPlane
from modelway.inference.loading import LoadedModel
from modelway.inference.named_tensors import (
    check_wanted,
    inputs_of,
    outputs_of,
    table_of,
    tensors_of,
)
from modelway.inference.validation import Checked

SERVICE = "inference.GRPCInferenceService"
EXTENSIONS = ("classification", "model_repository", "parameters", "statistics")

ASIDE_BYTES = 64 * 1024
"""A message from this size on is read on a thread."""

ASIDE_ROWS = 500
"""Answers of this many rows or more are written on a thread."""

_RESERVED = frozenset(
    ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers")
)
_SHARED = "shared_memory_region"
_FINAL = "triton_enable_empty_final_response"


class InferenceService:
    """Answers the protocol over a data plane; ``max_rows`` bounds one request.

    ``keys`` are asked by the methods for which the data plane is not.
    """

    def __init__(
        self, plane: DataPlane, states: States, max_rows: int, keys: Keys | None = None
    ) -> None:
        self._plane = plane
        self._states = states
        self._max_rows = max_rows
        self._keys = keys

    def methods(self, calls: Calls, more: Mapping[str, Answer]) -> grpc.GenericRpcHandler:
        """What answers the service's methods; ``more`` are those that stand elsewhere."""
        answers: dict[str, Answer] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
            **more,
        }
        methods = {
            name: calls.unary(method, guarded(method, answer, self._keys))
            for name, answer in answers.items()
            if (method := f"{SERVICE}/{name}")
        }
        stream = f"{SERVICE}/ModelStreamInfer"
        methods["ModelStreamInfer"] = calls.each(stream, self._infer_next, _refused)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _server_live(self, _: Call, message: bytes) -> Message:
        parsed(messages.ServerLiveRequest, message)
        return messages.ServerLiveResponse(live=True)

    async def _server_ready(self, _: Call, message: bytes) -> Message:
        parsed(messages.ServerReadyRequest, message)
        return messages.ServerReadyResponse(ready=self._states.ready())

    async def _model_ready(self, _: Call, message: bytes) -> Message:
        """Whether a model answers; one that nobody knows does not."""
        asked = parsed(messages.ModelReadyRequest, message)
        ready = self._states.model_ready(asked.name, asked.version or None)
        return messages.ModelReadyResponse(ready=ready is True)

    async def _server_metadata(self, _: Call, message: bytes) -> Message:
        parsed(messages.ServerMetadataRequest, message)
        return messages.ServerMetadataResponse(
            name="modelway", version=version_of("modelway"), extensions=EXTENSIONS
        )

    async def _model_metadata(self, _: Call, message: bytes) -> Message:
        asked = parsed(messages.ModelMetadataRequest, message)
        router = self._plane.router
        entry = router.live(asked.name, asked.version or None)
        answer = messages.ModelMetadataResponse(
            name=asked.name,
            versions=[one.version for one in router.versions(asked.name)],
            platform=entry.bundle.manifest.runtime,
        )
        for one in inputs_of(entry.bundle):
            answer.inputs.add(name=one.name, datatype=one.datatype.value, shape=one.shape)
        for one in outputs_of(entry.bundle):
            answer.outputs.add(name=one.name, datatype=one.datatype.value, shape=one.shape)
        return answer

    async def _infer(self, call: Call, message: bytes) -> Message:
        request = parsed(messages.ModelInferRequest, message)
        has_own_id = "modelway-prediction-id" in call.headers
        return await self._inferred(call, request, len(message), has_own_id=has_own_id)

    async def _infer_next(self, call: Call, message: bytes) -> Message:
        """One message of a stream, with an id of its own: the call's is that of all."""
        request = parsed(messages.ModelInferRequest, message)
        headers = {**call.headers, "modelway-prediction-id": new_prediction_id()}
        answer = await self._inferred(replace(call, headers=headers), request, len(message))
        named = answer.parameters["modelway-prediction-id"]
        named.string_param = headers["modelway-prediction-id"]
        if request.parameters[_FINAL].bool_param:
            answer.parameters["triton_final_response"].bool_param = True
        return messages.ModelStreamInferResponse(infer_response=answer)

    async def _inferred(
        self,
        call: Call,
        request: messages.ModelInferRequest,
        size_bytes: int,
        *,
        has_own_id: bool = False,
    ) -> messages.ModelInferResponse:
        if not self._states.ready():
            raise NotReady("the service is ending")
        endpoint = request.model_name
        parameters = parameters_in(request.parameters)
        prediction_id, principal = call.own_id(), None
        try:
            principal = self._plane.admit(endpoint, call.headers)
            prediction_id = call.prediction_id()
            deadline = call.wanted_until(parameters.get("timeout"))
            version = request.model_version or None
            model = await self._plane.opened(endpoint, version, deadline)
            checked = await self._read(request, model, size_bytes, deadline)
        except ModelwayError as error:
            if not isinstance(error, EndpointNotFound):
                self._plane.refused(endpoint, call.headers, error, prediction_id, principal)
            raise
        checked.table.parameters = {
            name: value for name, value in parameters.items() if not _is_reserved(name)
        }
        response = await self._plane.infer(
            InferenceRequest(
                endpoint,
                checked.table,
                prediction_id,
                checked.warnings,
                principal,
                call.headers,
                deadline,
                is_pinned=version is not None,
                has_own_id=has_own_id,
            ),
            model,
        )
        call.named["modelway-endpoint"] = response.endpoint
        call.named["modelway-version"] = response.version
        call.named["modelway-prediction-id"] = response.prediction_id
        write = partial(_answer, request, model, response)
        elements = sum(array.size for array in response.outputs.values())
        if response.n_rows < ASIDE_ROWS and elements < ASIDE_BYTES // 8:
            return write()
        return await self._plane.aside(write, None, deadline)

    async def _read(
        self,
        request: messages.ModelInferRequest,
        model: LoadedModel,
        size_bytes: int,
        deadline: float | None,
    ) -> Checked:
        """The request's table; a large one is read on a thread."""
        read = partial(_table, request, model, self._max_rows)
        if size_bytes >= ASIDE_BYTES:
            return await self._plane.aside(read, model, deadline)
        return read()


def _table(request: messages.ModelInferRequest, model: LoadedModel, max_rows: int) -> Checked:
    check_wanted(model, _wanted(request))
    return table_of(model, tensors_in(request, max_rows))


def _wanted(request: messages.ModelInferRequest) -> list[str] | None:
    """The outputs that are asked for, None for all."""
    return [one.name for one in request.outputs] or None


def _answer(
    request: messages.ModelInferRequest, model: LoadedModel, response: InferenceResponse
) -> messages.ModelInferResponse:
    """The answer with the outputs that are asked for. Raises InvalidInput."""
    tensors = tensors_of(model, response, _wanted(request))
    for k, one in enumerate(request.outputs):
        n_classes = _n_classes(one)
        if n_classes:
            tensors[k] = largest(tensors[k], n_classes, model, response)
    answer = messages.ModelInferResponse(
        model_name=request.model_name, model_version=response.version, id=request.id
    )
    add_outputs(answer, tensors)
    return answer


def _n_classes(wanted: messages.ModelInferRequest.InferRequestedOutputTensor) -> int:
    """How many classes an output is to be told by, 0 for the output itself."""
    parameters = parameters_in(wanted.parameters)
    if _SHARED in parameters:
        raise InvalidInput(f"{wanted.name[:80]}: no memory is shared here")
    n_classes = parameters.get("classification", 0)
    if not isinstance(n_classes, int) or n_classes < 0:
        raise InvalidInput(f"{wanted.name[:80]}: classification is not a number of classes")
    return n_classes


def _is_reserved(parameter: str) -> bool:
    return parameter in _RESERVED or parameter.startswith("triton_")


def _refused(said: Told, message: bytes) -> Message:
    """The answer of a stream to a message it cannot answer, under the message's own id."""
    answer = messages.ModelInferResponse()
    try:
        request = messages.ModelInferRequest.FromString(message)
    except DecodeError:
        pass
    else:
        answer.id, answer.model_name = request.id, request.model_name
    return messages.ModelStreamInferResponse(error_message=said.message, infer_response=answer)
