"""Messages that no caller should send: Hypothesis strategies over the protocol's own fields."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from modelway.grpc.messages import ModelInferRequest

DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BYTES", "BF16", "STRING", "", "fp64"),
)
_CONTENTS = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
    "bytes_contents": st.binary(max_size=8),
}
_LENGTHS = st.sampled_from((0, 1, 2, 3, 16)) | st.integers(-(2**63), 2**63 - 1)
_VALUES = {
    "bool_param": st.booleans(),
    "int64_param": st.integers(-(2**63), 2**63 - 1),
    "string_param": st.text(max_size=8),
    "double_param": st.floats(),
    "uint64_param": st.integers(0, 2**64 - 1),
}
_PARAMETERS = ("timeout", "priority", "sequence_id", "triton_x", "headers", "a", "")


def fuzz_messages(valid: Sequence[ModelInferRequest]) -> st.SearchStrategy[bytes]:
    """The bytes of messages, most of them one of ``valid`` before something of it was changed."""
    names = sorted({one.name for request in valid for one in request.inputs})
    models = sorted({request.model_name for request in valid})
    whole = [one.SerializeToString() for one in valid]
    return st.one_of(
        _changed(valid, names, models),
        _changed(valid, names, models),
        st.builds(
            _damaged,
            st.sampled_from(whole),
            st.binary(max_size=8),
            st.integers(0, 300),
            st.integers(0, 9),
        ),
        st.binary(max_size=100),
    )


@st.composite
def _changed(
    draw: st.DrawFn, valid: Sequence[ModelInferRequest], names: Sequence[str], models: Sequence[str]
) -> bytes:
    request = ModelInferRequest()
    request.CopyFrom(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 2))):
        _change(draw, request, names, models)
    return request.SerializeToString()


def _change(
    draw: st.DrawFn, request: ModelInferRequest, names: Sequence[str], models: Sequence[str]
) -> None:
    """Change one thing of a request."""
    what = draw(st.integers(0, 8))
    one = draw(st.sampled_from(request.inputs)) if request.inputs else request.inputs.add()
    if what == 0:
        one.datatype = draw(st.sampled_from(DATATYPES))
    elif what == 1:
        one.shape[:] = draw(st.lists(_LENGTHS, max_size=4))
    elif what == 2:
        one.name = draw(st.sampled_from(names) | st.text(max_size=8))
    elif what == 3:
        request.raw_input_contents[:] = draw(st.lists(st.binary(max_size=64), max_size=3))
    elif what == 4:
        field = draw(st.sampled_from(sorted(_CONTENTS)))
        getattr(one.contents, field).extend(draw(st.lists(_CONTENTS[field], max_size=4)))
    elif what == 5:
        request.inputs.add().CopyFrom(one)
    elif what == 6:
        request.outputs.add(name=draw(st.sampled_from(("prediction", "nope")) | st.text()))
    elif what == 7:
        kind = draw(st.sampled_from(sorted(_VALUES)))
        parameter = request.parameters[draw(st.sampled_from(_PARAMETERS))]
        setattr(parameter, kind, draw(_VALUES[kind]))
    else:
        request.model_name = draw(st.sampled_from(models) | st.text(max_size=8))
        request.model_version = draw(st.just("") | st.text(max_size=8))


def _damaged(content: bytes, insertion: bytes, at: int, drop: int) -> bytes:
    at = min(at, len(content))
    return content[:at] + insertion + content[at + drop :]
