"""Named tensors: how the Open Inference Protocol's doors see any model, of columns or of tensors.

A model of columns takes one tensor a column, or all columns as one matrix in their order, whatever
that is called. It gives ``prediction``, ``probabilities`` in the order of its classes where it has
them, and ``label`` where labels have names. A model of tensors takes and gives its own.

Text is BYTES there: in UTF-8, times as ISO 8601, and what is neither text nor number as JSON.

Source: Open Inference Protocol, "Tensor Data Types".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from modelway.bundles.manifest import Task
from modelway.bundles.store import Bundle
from modelway.domain.errors import InvalidInput, OutputInvalid, Problem, SignatureMismatch
from modelway.domain.inference import InferenceResponse, Outputs
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.domain.tables import NUMPY_DTYPES, Array, Table
from modelway.inference.cells import CellReader
from modelway.inference.findings import LISTED_PROBLEMS, Findings, escaped, shown
from modelway.inference.loading import LoadedModel
from modelway.inference.quick_matrix import QuickMatrix
from modelway.inference.validation import Checked, Validator

PREDICTION = "prediction"
PROBABILITIES = "probabilities"
LABEL = "label"
_CLASS_INDEX = "class_index"
_LISTED_NAMES = 10


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A tensor with its name and the datatype that was said of it.

    ``array`` has the datatype's own dtype, or holds objects: the elements of BYTES are ``bytes`` or
    ``str``, and None is a null in a tensor of any datatype.
    """

    name: str
    datatype: Datatype
    array: Array


@dataclass(frozen=True, slots=True)
class TensorFace:
    """A tensor as callers are told of it; ``shape`` has -1 for an axis of any length."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


def inputs_of(bundle: Bundle) -> list[TensorFace]:
    """What a model takes: its tensors, or one of shape (n_rows,) a column."""
    return faces_of(bundle.signature)


def faces_of(signature: Signature) -> list[TensorFace]:
    """What a model of this signature takes: its tensors, or one of shape (n_rows,) a column."""
    if signature.is_tabular:
        return [TensorFace(one.name, _column_type(one), (-1,)) for one in signature.columns]
    return [_face(spec) for spec in signature.tensors]


def outputs_of(bundle: Bundle) -> list[TensorFace]:
    """What a model gives, as far as it is known before it is asked; nothing of a function's."""
    manifest, signature = bundle.manifest, bundle.signature
    classes = manifest.classes
    if classes is not None:
        faces = [TensorFace(PREDICTION, _label_type(classes), (-1,))]
        if manifest.probabilities:
            faces.append(TensorFace(PROBABILITIES, Datatype.FP64, (-1, len(classes))))
        if _has_names(signature.label_names, classes):
            faces.append(TensorFace(LABEL, Datatype.BYTES, (-1,)))
        return faces
    if signature.outputs and not (signature.is_tabular and len(signature.outputs) == 1):
        return [_face(spec) for spec in signature.outputs]
    if signature.outputs:
        # Whatever it was declared as, the only value of a row is its prediction.
        return [replace(_face(signature.outputs[0]), name=PREDICTION)]
    if manifest.task is Task.FUNCTION:
        return []
    datatype = Datatype.INT64 if manifest.task is Task.CLUSTERING else Datatype.FP64
    return [TensorFace(PREDICTION, datatype, (-1,))]


def check_wanted(model: LoadedModel, wanted: Sequence[str] | None) -> None:
    """Do nothing if a model gives what is wanted, as far as that is known before it is asked.

    Raises:
        InvalidInput: it does not, or something is wanted twice.
    """
    faces = outputs_of(model.bundle) if wanted is not None else []
    if wanted is not None and faces:
        _check_wanted(wanted, [face.name for face in faces], model.name)


def table_of(model: LoadedModel, tensors: Sequence[NamedTensor]) -> Checked:
    """The rows that tensors hold; numbers are not copied where their dtype is the model's.

    Raises:
        SignatureMismatch: tensors are missing, unknown, there twice, of another shape or datatype,
            or hold values that do not fit. The pointers are ``/inputs/tensor/...``, and
            ``/row/column`` for values of columns.
    """
    signature = model.signature
    if not signature.is_tabular:
        return Checked(_tensor_table(model, tensors))
    if len(tensors) == 1:
        array = tensors[0].array
        if array.ndim == 2 and array.shape[1] == len(signature.columns):
            return _matrix_table(model.validator, array)
    return _column_table(model.validator, tensors)


def tensors_of(
    model: LoadedModel, response: InferenceResponse, wanted: Sequence[str] | None = None
) -> list[NamedTensor]:
    """The answer as tensors: those ``wanted``, in that order, or all.

    Raises:
        InvalidInput: something is wanted that the model does not give, or twice.
        OutputInvalid: the model gave something that no tensor holds.
    """
    outputs = response.outputs
    if _CLASS_INDEX in outputs:
        tensors = _labels_of(model, response).tensors(outputs)
        if wanted is None:
            return list(tensors.values())
        _check_wanted(wanted, tensors, response.endpoint)
        return [tensors[name] for name in wanted]
    if wanted is not None:
        _check_wanted(wanted, outputs, response.endpoint)
    return [_output(name, outputs[name]) for name in (outputs if wanted is None else wanted)]


def _check_wanted(wanted: Sequence[str], there: Collection[str], endpoint: str) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise InvalidInput(
            f"{endpoint} has no output {', '.join(map(shown, unknown[:_LISTED_NAMES]))}",
            hint=f"it has: {', '.join(there)}",
        )
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise InvalidInput(f"the output {shown(twice[0])} is asked for twice")


def _matrix_table(validator: Validator, matrix: Array) -> Checked:
    """The rows of a matrix of shape (n_rows, n_columns)."""
    table = _quick_of(validator).table(matrix)
    if table is not None:
        return Checked(table)
    columns = validator.signature.columns
    cells = {column.name: _cells(matrix[:, k]) for k, column in enumerate(columns)}
    return validator.arrays(cells, len(matrix))


def _quick_of(validator: Validator) -> QuickMatrix:
    """The validator's quick path, made when it is first asked for."""
    found = _quick.get(validator)
    if found is None:
        found = _quick[validator] = QuickMatrix(validator)
    return found


_quick: WeakKeyDictionary[Validator, QuickMatrix] = WeakKeyDictionary()


def _column_table(validator: Validator, tensors: Sequence[NamedTensor]) -> Checked:
    """The rows of one tensor a column; shapes that are wrong are said beside wrong values."""
    known, positions = validator.signature.columns, validator.signature.positions
    columns: dict[str, Array | Sequence[object]] = {}
    problems: list[Problem] = []
    unfit: set[str] = set()
    for one in tensors:
        shape = one.array.shape
        if one.name in columns or one.name in unfit:
            problems.append(_problem(one.name, "duplicate", "another", "the tensor once"))
        elif len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            columns[one.name] = _cells(one.array.reshape(shape[0]))
        else:
            unfit.add(one.name)
            expected = "a tensor of shape [any] or [any, 1], a value a row"
            problems.append(_wrong_shape(one, expected))
    if len(tensors) == 1 and unfit:
        names = ", ".join(column.name for column in known[:_LISTED_NAMES])
        some = names + (", ..." if len(known) > _LISTED_NAMES else "")
        expected = f"a tensor of shape [any, {len(known)}], the columns {some}"
        raise _mismatch([_wrong_shape(tensors[0], expected)])
    counts = {name: len(cells) for name, cells in columns.items()}
    if len(set(counts.values())) > 1:
        raise _mismatch([*problems, _unequal(counts)])
    table = None if problems else _quick_of(validator).table_of_columns(columns)
    if table is not None:
        return Checked(table)
    try:
        checked = validator.arrays(columns, next(iter(counts.values()), 0))
    except SignatureMismatch as found:
        sent = {known[positions[name]].name for name in unfit if name in positions}
        rest = [p for p in found.problems if p.received is not None or p.column not in sent]
        raise _mismatch([*problems, *rest], found.total - len(found.problems)) from None
    if problems:
        raise _mismatch(problems)
    return checked


def _cells(array: Array) -> Array | Sequence[object]:
    """A column's values as the validator takes them."""
    return array if array.dtype != object else _decoded(array)


def _decoded(array: Array) -> list[object]:
    """The elements of an array of objects, bytes as the text they are where they are text."""
    return [_text(value) if type(value) is bytes else value for value in array.tolist()]


def _text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value  # no text, and refused as that


def _tensor_table(model: LoadedModel, tensors: Sequence[NamedTensor]) -> Table:
    """The tensors of a model in its own order, each checked against its own shape and datatype."""
    specs = model.signature.tensors
    known = {spec.name for spec in specs}
    given: dict[str, NamedTensor] = {}
    problems: list[Problem] = []
    for one in tensors:
        if one.name not in known:
            some = ", ".join([spec.name for spec in specs][:_LISTED_NAMES])
            expected = f"a tensor of the model ({some})"
            problems.append(_problem(one.name, "unknown-tensor", shown(one.name), expected))
        elif one.name in given:
            problems.append(_problem(one.name, "duplicate", "another", "the tensor once"))
        else:
            given[one.name] = one
    arrays, unlisted = [], 0
    for spec in specs:
        if spec.name not in given:
            problems.append(_problem(spec.name, "missing", None, _expected(spec)))
            continue
        try:
            arrays.append(_fitted(spec, given[spec.name]))
        except SignatureMismatch as found:
            problems.extend(found.problems)
            unlisted += found.total - len(found.problems)
    counts = {name: len(one.array) if one.array.ndim else 1 for name, one in given.items()}
    if not problems and len(set(counts.values())) > 1:
        problems.append(_unequal(counts))
    if problems:
        raise _mismatch(problems, unlisted)
    return Table(model.signature, next(iter(counts.values())), arrays=arrays)


def _fitted(spec: TensorSpec, tensor: NamedTensor) -> Array:
    """The tensor in the dtype of its spec.

    A number of a smaller datatype fits a larger one that holds all of its values.

    Raises:
        SignatureMismatch: it does not fit.
    """
    array, shape = tensor.array, tensor.array.shape
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, n) for wanted, n in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise _mismatch([_wrong_shape(tensor, _expected(spec))])
    datatype = _edge_type(spec.datatype)
    if datatype is not tensor.datatype and not _holds(datatype, tensor.datatype):
        problem = _problem(
            spec.name, "wrong-datatype", tensor.datatype.value, f"{datatype.value} values"
        )
        raise _mismatch([problem])
    if array.dtype != object:
        return array.astype(NUMPY_DTYPES[datatype], copy=False)

    def pointer(k: int, _: int) -> str:
        place = "".join(f"/{i}" for i in np.unravel_index(k, shape)) if shape else ""
        return f"/inputs/{escaped(spec.name)}{place}"

    findings = Findings([spec.name], pointer)
    reader = CellReader(Column(spec.name, spec.name, spec.datatype), 0, strict=False)
    read = reader.values(_decoded(array.ravel()), findings)
    findings.check()
    return read.astype(NUMPY_DTYPES[spec.datatype], copy=False).reshape(shape)


def _holds(wide: Datatype, narrow: Datatype) -> bool:
    """Whether every number of one datatype is one of another."""
    if not (wide.is_number and narrow.is_number):
        return False
    into, source = NUMPY_DTYPES[wide], NUMPY_DTYPES[narrow]
    # numpy counts 64 bit whole numbers as safe in a float64, which rounds them.
    rounds = wide.is_float and narrow.is_integer and source.itemsize >= into.itemsize
    return not rounds and bool(np.can_cast(source, into, "safe"))


class _Labels:
    """The labels of a classifier in the order of its classes, and their names if they have some."""

    __slots__ = ("classes", "datatype", "texts", "values")

    def __init__(self, classes: Sequence[Scalar], names: Mapping[str, str]) -> None:
        self.classes = classes
        self.datatype = _label_type(classes)
        if self.datatype is Datatype.BYTES:
            self.values = _objects([str(label) for label in classes])
        else:
            self.values = np.array(classes, NUMPY_DTYPES[self.datatype])
        self.texts: Array | None = None
        if _has_names(names, classes):
            self.texts = _objects([names.get(str(label), str(label)) for label in classes])

    def tensors(self, outputs: Outputs) -> dict[str, NamedTensor]:
        """The outputs of a classifier."""
        index = outputs[_CLASS_INDEX]
        found = {PREDICTION: NamedTensor(PREDICTION, self.datatype, self.values[index])}
        probabilities = outputs.get(PROBABILITIES)
        if probabilities is not None:
            found[PROBABILITIES] = _output(PROBABILITIES, probabilities)
        if self.texts is not None:
            found[LABEL] = NamedTensor(LABEL, Datatype.BYTES, self.texts[index])
        return found


def _labels_of(model: LoadedModel, response: InferenceResponse) -> _Labels:
    """The labels of the version that answered, made once for the model that was asked."""
    found = _labels.get(model.validator)
    if found is None or found.classes is not response.classes:
        found = _Labels(response.classes or (), model.signature.label_names)
        if response.classes is model.manifest.classes:
            _labels[model.validator] = found
    return found


_labels: WeakKeyDictionary[Validator, _Labels] = WeakKeyDictionary()


def _output(name: str, array: Array) -> NamedTensor:
    """An output of a model, in the datatype of its dtype or as text."""
    datatype = _DATATYPES.get(array.dtype)
    if datatype is not None:
        return NamedTensor(name, datatype, array)
    kind = array.dtype.kind
    if kind == "f":
        return NamedTensor(name, Datatype.FP64, array.astype(np.float64))
    if kind == "m":
        return NamedTensor(name, Datatype.INT64, array.astype("timedelta64[us]").astype(np.int64))
    if kind == "M":
        texts = np.datetime_as_string(array.astype("datetime64[us]"), timezone="UTC")
        return NamedTensor(name, Datatype.BYTES, texts.astype(object))
    if kind not in "OUS":
        raise OutputInvalid(f"the output {name} is of {array.dtype}, which no tensor holds")
    flat = [_element(name, value) for value in array.ravel().tolist()]
    return NamedTensor(name, Datatype.BYTES, _objects(flat).reshape(array.shape))


def _element(name: str, value: object) -> str | bytes:
    """An element of BYTES: text and bytes as they are, anything else as JSON."""
    if isinstance(value, str | bytes):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise OutputInvalid(f"the output {name} cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _objects(values: Sequence[object]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _label_type(classes: Sequence[Scalar]) -> Datatype:
    """The datatype that holds every label; BYTES, their text, where no other does."""
    kinds = set(map(type, classes))
    if kinds == {bool}:
        return Datatype.BOOL
    if kinds == {float}:
        return Datatype.FP64
    if kinds == {int} and all(-(2**63) <= int(one) < 2**63 for one in classes):
        return Datatype.INT64
    return Datatype.BYTES


def _has_names(names: Mapping[str, str], classes: Sequence[Scalar]) -> bool:
    return any(str(label) in names for label in classes)


def _face(spec: TensorSpec) -> TensorFace:
    return TensorFace(spec.name, _edge_type(spec.datatype), spec.shape)


def _column_type(column: Column) -> Datatype:
    if column.datatype is Datatype.CATEGORICAL:
        return Datatype.BYTES if column.is_text else Datatype.INT64
    return _edge_type(column.datatype)


def _edge_type(datatype: Datatype) -> Datatype:
    """The protocol's own datatype for one of ours."""
    return datatype if datatype in _PROTOCOL else Datatype.BYTES


_OURS = (Datatype.STRING, Datatype.CATEGORICAL, Datatype.DATETIME)
_PROTOCOL = frozenset(Datatype) - frozenset(_OURS)
_DATATYPES = {NUMPY_DTYPES[one]: one for one in _PROTOCOL if one is not Datatype.BYTES}


def _problem(name: str, code: str, received: str | None, expected: str) -> Problem:
    name = name[:80]
    return Problem(f"/inputs/{escaped(name)}", name, code, received, expected)


def _wrong_shape(tensor: NamedTensor, expected: str) -> Problem:
    received = f"shape {_shape_text(tensor.array.shape)}"
    return _problem(tensor.name, "wrong-shape", received, expected)


def _unequal(counts: Mapping[str, int]) -> Problem:
    came = ", ".join(f"{n} in {name[:80]}" for name, n in list(counts.items())[:_LISTED_NAMES])
    expected = "the same number of rows in every tensor"
    return Problem("/inputs", "inputs", "wrong-shape", came, expected)


def _expected(spec: TensorSpec) -> str:
    return f"a tensor of shape {_shape_text(spec.shape)} of {_edge_type(spec.datatype).value}"


def _shape_text(shape: Sequence[int]) -> str:
    """``[-1, 4]`` as ``[any, 4]``."""
    return f"[{', '.join('any' if n < 0 else str(n) for n in shape[:_LISTED_NAMES])}]"


def _mismatch(problems: Sequence[Problem], unlisted: int = 0) -> SignatureMismatch:
    return SignatureMismatch(problems[:LISTED_PROBLEMS], total=len(problems) + unlisted)
