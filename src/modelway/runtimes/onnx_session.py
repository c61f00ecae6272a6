"""Sessions of ONNX Runtime, and what runs a compiled graph soonest.

One thread a session: with more, sums change their order and answers depend on the batch.
"""

from __future__ import annotations

from typing import Any

import onnxruntime

from modelway.bundles.leaf_tables import KEY, unpacked
from modelway.domain.errors import LoadFailed
from modelway.runtimes.leaf_tables import TabledSession

INEXACT_OPTIMIZERS = ["MatMulScaleFusion"]
"""It folds a factor into a MatMul as float32, whatever the type of the product: off by 1e-7."""


def session_of(graph: str | bytes) -> Any:
    """A session over the graph of a path, or of these bytes. Raises what ONNX Runtime raises."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=INEXACT_OPTIMIZERS,
    )


def bare(session: Any) -> Any:
    """A session without what stands around it in Python.

    That checks names that are ours, and costs a fifth of a row.
    """
    return getattr(session, "_sess", session)


def quickest(session: Any) -> Any:
    """What runs a compiled graph: its session, with leaf tables where the graph has some.

    Raises:
        LoadFailed: the tables cannot be read.
    """
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        return bare(session)
    try:
        tables = unpacked(text)
        rest = session_of(tables.rest)
    except Exception as error:  # ONNX Runtime's errors share no base but Exception
        raise LoadFailed(f"the leaf tables of the graph cannot be read: {error}") from error
    needs_rows = "X" in [one.name for one in rest.get_inputs()]
    return TabledSession(bare(session), bare(rest), tables, needs_rows=needs_rows)
