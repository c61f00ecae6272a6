"""Tensor models that the examples of Triton's clients expect, as bundles of ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from modelway.bundles.digest import bundle_digest
from modelway.bundles.manifest import FORMAT_VERSION, ORIGINAL, Manifest, OriginalModel, Task
from modelway.bundles.record import Record, write_record
from modelway.domain.signature import Datatype, Signature, TensorSpec
from support.running import written

_TYPES = {Datatype.INT32: TensorProto.INT32, Datatype.BYTES: TensorProto.STRING}
_OPSET, _IR = 17, 8


def simple_bundle(folder: Path) -> Path:
    """``simple``: OUTPUT0 is the sum, OUTPUT1 the difference of INT32 [n, 16] INPUT0 and INPUT1."""
    signature = _signature(Datatype.INT32, ["INPUT0", "INPUT1"], ["OUTPUT0", "OUTPUT1"], 16)
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    return _bundle(folder, nodes, signature)


def identity_bundle(folder: Path) -> Path:
    """``simple_identity``: OUTPUT0 is BYTES [n, any] INPUT0."""
    signature = _signature(Datatype.BYTES, ["INPUT0"], ["OUTPUT0"], -1)
    return _bundle(folder, [helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])], signature)


def _signature(datatype: Datatype, inputs: list[str], outputs: list[str], width: int) -> Signature:
    return Signature(
        tensors=tuple(TensorSpec(name, datatype, (-1, width)) for name in inputs),
        outputs=tuple(TensorSpec(name, datatype, (-1, width)) for name in outputs),
    )


def _bundle(folder: Path, nodes: list[Any], signature: Signature) -> Path:
    graph = helper.make_graph(
        nodes, folder.name, _described(signature.tensors), _described(signature.outputs)
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    onnx.checker.check_model(model)
    (folder / ORIGINAL).mkdir(parents=True)
    (folder / ORIGINAL / "model.onnx").write_bytes(model.SerializeToString())
    original = OriginalModel("onnx", f"{ORIGINAL}/model.onnx", "onnx")
    manifest = Manifest(FORMAT_VERSION, Task.FUNCTION, "onnx", original, "tensors")
    written(folder, manifest, signature)
    write_record(
        folder,
        Record(
            digest=bundle_digest(folder),
            name=folder.name,
            source="model.onnx",
            source_sha256="0" * 64,
            built_at="2024-05-17T12:30:00Z",
            modelway="0.1.0",
        ),
    )
    return folder


def _described(specs: tuple[TensorSpec, ...]) -> list[Any]:
    return [
        helper.make_tensor_value_info(
            one.name, _TYPES[one.datatype], ["n", None if one.shape[1] < 0 else one.shape[1]]
        )
        for one in specs
    ]
