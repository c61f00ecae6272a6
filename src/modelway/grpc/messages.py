"""The messages of the protocol as classes, made of its descriptor in a pool of their own.

protobuf's own pool takes a name once in a process, and a model's code may import Triton's or
KServe's client, which register the same names there.

``open_inference.binpb`` and the types in ``messages.pyi`` are what protoc makes of
``open_inference.proto``.
"""

from __future__ import annotations

from importlib.resources import files

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_described = FileDescriptorSet.FromString(
    files("modelway.grpc").joinpath("open_inference.binpb").read_bytes()
)
POOL = DescriptorPool()
POOL.AddSerializedFile(_described.file[0].SerializeToString())
DESCRIPTOR = POOL.FindFileByName(_described.file[0].name)

globals().update(
    {name: GetMessageClass(one) for name, one in DESCRIPTOR.message_types_by_name.items()}
)
