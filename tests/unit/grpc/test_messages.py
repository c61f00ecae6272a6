from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default

from modelway.grpc import messages

PUBLISHED = {
    "ModelInferRequest": {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    },
    "ModelInferRequest.InferInputTensor": {
        "name": 1,
        "datatype": 2,
        "shape": 3,
        "parameters": 4,
        "contents": 5,
    },
    "ModelInferResponse": {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "outputs": 5,
        "raw_output_contents": 6,
    },
    "InferParameter": {
        "bool_param": 1,
        "int64_param": 2,
        "string_param": 3,
        "double_param": 4,
        "uint64_param": 5,
    },
    "InferTensorContents": {
        "bool_contents": 1,
        "int_contents": 2,
        "int64_contents": 3,
        "uint_contents": 4,
        "uint64_contents": 5,
        "fp32_contents": 6,
        "fp64_contents": 7,
        "bytes_contents": 8,
    },
    "ModelStreamInferResponse": {"error_message": 1, "infer_response": 2},
    "ModelMetadataResponse": {
        "name": 1,
        "versions": 2,
        "platform": 3,
        "inputs": 4,
        "outputs": 5,
    },
    "ModelStatistics": {
        "name": 1,
        "version": 2,
        "last_inference": 3,
        "inference_count": 4,
        "execution_count": 5,
        "inference_stats": 6,
        "batch_stats": 7,
    },
}
"""Field numbers as the protocol and Triton's extensions publish them."""


def test_fields_have_their_published_numbers() -> None:
    pool = messages.DESCRIPTOR.pool
    for name, numbers in PUBLISHED.items():
        described = pool.FindMessageTypeByName(f"inference.{name}")
        assert {field.name: field.number for field in described.fields} == numbers, name


def test_another_library_may_take_the_same_names() -> None:
    """As Triton's client does, imported by a model's own code: in the pool that all share."""
    theirs = FileDescriptorProto(name="theirs.proto", package="inference", syntax="proto3")
    theirs.message_type.add(name="ModelInferRequest").field.add(
        name="other", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL"
    )
    Default().AddSerializedFile(theirs.SerializeToString())
    assert messages.ModelInferRequest(model_name="iris").model_name == "iris"
