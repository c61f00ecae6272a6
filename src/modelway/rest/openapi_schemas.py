"""JSON Schemas of what a model takes and gives, made from its signature.

A schema refuses only what the service refuses. The range and the categories of the training data
are no limits (what lies outside is answered, with a warning), so they stand in the description and
in ``x-`` fields; where the service is strict, they are limits in the schema too.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

from typing import Any

from modelway.bundles.manifest import Manifest, Task
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec
from modelway.inference.cells import bounds
from modelway.inference.findings import number_text
from modelway.inference.samples import sample_row

Schema = dict[str, Any]

_LISTED_CATEGORIES = 20


def row_schema(signature: Signature, *, strict: bool) -> Schema:
    """One row as an object: a value by column name, of the columns that may be left out or not."""
    sample = sample_row(signature)
    schema: Schema = {
        "type": "object",
        "properties": {
            c.name: column_schema(c, sample[c.name], strict=strict) for c in signature.columns
        },
        "required": [c.name for c in signature.columns if not c.optional],
        "additionalProperties": not strict,
        "examples": [sample],
    }
    if signature.description:
        schema["description"] = signature.description
    return schema


def frame_schema(signature: Signature, *, strict: bool) -> Schema:
    """Column names once, and an array of values for each row."""
    sample = sample_row(signature)
    cells = [_value_schema(c, strict=strict, nullable=c.nullable) for c in signature.columns]
    names = list(sample)
    return {
        "type": "object",
        "description": "The names in any order that the values follow; aliases will do.",
        "properties": {
            "columns": {"const": names},
            "data": {
                "type": "array",
                "items": {
                    "type": "array",
                    "prefixItems": cells,
                    "minItems": len(cells),
                    "maxItems": len(cells),
                },
            },
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
        "examples": [{"columns": names, "data": [list(sample.values())]}],
    }


def tensors_schema(signature: Signature, example: dict[str, object]) -> Schema:
    """Nested arrays by tensor name."""
    return {
        "type": "object",
        "properties": {spec.name: _tensor_schema(spec) for spec in signature.tensors},
        "required": [spec.name for spec in signature.tensors],
        "additionalProperties": False,
        "examples": [example],
    }


def column_schema(column: Column, sample: Scalar, *, strict: bool, as_text: bool = False) -> Schema:
    """One value of a column; ``as_text`` where it stands in a URL, which has no null."""
    schema = _value_schema(column, strict=strict, nullable=column.nullable and not as_text)
    if schema["type"] == "string" and as_text and not column.nullable:
        schema["minLength"] = 1  # empty text in a URL is a missing value
    schema["examples"] = [sample, *_others(column, sample)]
    description = describe(column, strict=strict, other=column.name if as_text else column.alias)
    if description:
        schema["description"] = description
    if column.unit:
        schema["x-unit"] = column.unit
    if column.minimum is not None or column.maximum is not None:
        schema["x-training-range"] = [column.minimum, column.maximum]
    if column.categories:
        schema["x-training-categories"] = list(column.categories)
    if column.missing_ratio is not None:
        schema["x-training-missing-ratio"] = column.missing_ratio
    return schema


def _value_schema(column: Column, *, strict: bool, nullable: bool) -> Schema:
    """What is refused and what is not, and nothing else."""
    kind = _kind(column)
    schema: Schema = {"type": [kind, "null"] if nullable else kind}
    schema.update(_limits(column, strict=strict))
    if column.categories and (strict or column.closed):
        schema["enum"] = [*column.categories, *([None] if nullable else [])]
    return schema


def describe(column: Column, *, strict: bool, other: str) -> str:
    """What a caller should know of a column, in sentences; ``other`` is a name that will do too."""
    said = []
    if column.description:
        said.append(column.description.rstrip(".") + ".")
    if column.unit:
        said.append(f"In {column.unit}.")
    seen = _seen(column)
    if seen:
        refused = strict or (column.closed and bool(column.categories))
        outcome = "refused" if refused else "answered with a warning"
        said.append(f"In training {seen}; anything else is {outcome}.")
    if column.nullable:
        said.append("May be missing.")
    if column.alias != column.name:
        said.append(f"Also accepted as `{other}`.")
    return " ".join(said)


def answer_schema(signature: Signature, manifest: Manifest, word: str) -> Schema:
    """What is said of one row, or of all tensors; ``word`` is the key of the prediction."""
    if not signature.is_tabular:
        outputs = {spec.name: {"description": _shape_text(spec)} for spec in signature.outputs}
        return _said_with({"outputs": {"type": "object", "properties": outputs}}, ["outputs"])
    properties: Schema = {word: _prediction_schema(signature, manifest)}
    required = [word]
    if signature.label_names and manifest.classes is not None:
        properties["label"] = {
            "type": "string",
            "description": "The name of the predicted label, where it has one.",
            "examples": list(signature.label_names.values()),
        }
    if manifest.probabilities:
        listed = ", ".join(str(label) for label in (manifest.classes or ())[:_LISTED_CATEGORIES])
        properties["probabilities"] = {
            "type": "object",
            "description": f"The probability of each label, by its text: {listed}.",
            "additionalProperties": {"type": ["number", "null"]},
        }
        required.append("probabilities")
    return _said_with(properties, required)


def _said_with(properties: Schema, required: list[str]) -> Schema:
    """An answer of these properties, and of those that every answer has."""
    warnings = {
        "type": "array",
        "description": "What was unusual; absent where nothing was.",
        "items": {"$ref": "#/components/schemas/Warning"},
    }
    about = {name: {"type": "string", "description": said} for name, said in _ABOUT.items()}
    return {
        "type": "object",
        "properties": {**properties, "warnings": warnings, **about},
        "required": [*required, *about],
    }


_ABOUT = {
    "endpoint": "The endpoint that answered.",
    "version": "The version of the model that answered.",
    "prediction_id": "Names this prediction; that of row k of several is `ID:k`.",
}


def alone_schema(signature: Signature, manifest: Manifest, word: str) -> Schema:
    """The prediction and nothing else."""
    return {
        "type": "object",
        "properties": {word: _prediction_schema(signature, manifest)},
        "required": [word],
    }


def _prediction_schema(signature: Signature, manifest: Manifest) -> Schema:
    if manifest.classes is not None:
        names = signature.label_names
        said = ", ".join(
            f"{label} is {names[str(label)]}" for label in manifest.classes if str(label) in names
        )
        schema: Schema = {"enum": list(manifest.classes)}
        return schema | ({"description": f"The label: {said}."} if said else {})
    if manifest.task is Task.REGRESSION and signature.is_tabular:
        number = {"type": ["number", "null"]}
        return {
            "anyOf": [number, {"type": "array", "items": number}],
            "description": "The value; null where the model gave none that is finite.",
        }
    return {"description": "What the model gives for the row."}


def _kind(column: Column) -> str:
    if column.is_text or column.datatype is Datatype.DATETIME:
        return "string"
    if column.datatype is Datatype.BOOL:
        return "boolean"
    return "number" if column.datatype.is_float else "integer"


_FORMATS = {
    Datatype.FP64: "double",
    Datatype.FP32: "float",
    Datatype.INT64: "int64",
    Datatype.INT32: "int32",
    Datatype.DATETIME: "date-time",
}


def _limits(column: Column, *, strict: bool) -> Schema:
    """What a value may be at most: the datatype's own limits, and training's where strict."""
    limits: Schema = {}
    if column.datatype in _FORMATS:
        limits["format"] = _FORMATS[column.datatype]
    if _kind(column) not in ("number", "integer"):
        return limits
    whole = not column.datatype.is_float
    low, high = bounds(column)
    if column.datatype is not Datatype.FP64:
        limits["minimum"] = int(low) if whole else low
        limits["maximum"] = int(high) if whole else high
    if strict and not column.categories:
        if column.minimum is not None:
            limits["minimum"] = column.minimum
        if column.maximum is not None:
            limits["maximum"] = column.maximum
    return limits


def _seen(column: Column) -> str:
    if column.categories:
        some = ", ".join(str(c) for c in column.categories[:_LISTED_CATEGORIES])
        more = len(column.categories) - _LISTED_CATEGORIES
        return f"one of {some}" + (f" and {more} more" if more > 0 else "")
    if column.minimum is not None and column.maximum is not None:
        return f"{number_text(column.minimum)} to {number_text(column.maximum)}"
    if column.minimum is not None:
        return f"{number_text(column.minimum)} or more"
    if column.maximum is not None:
        return f"{number_text(column.maximum)} or less"
    return ""


def _others(column: Column, sample: Scalar) -> list[Scalar]:
    """More examples: the other categories."""
    return [c for c in (column.categories or ())[:_LISTED_CATEGORIES] if c != sample]


def _tensor_schema(spec: TensorSpec) -> Schema:
    stand_in = Column(spec.name, spec.name, spec.datatype)
    schema: Schema = {"type": _kind(stand_in)} | _limits(stand_in, strict=False)
    for length in reversed(spec.shape):
        schema = {"type": "array", "items": schema}
        if length >= 0:
            schema |= {"minItems": length, "maxItems": length}
    return schema | {"description": _shape_text(spec)}


def _shape_text(spec: TensorSpec) -> str:
    shape = ", ".join("any" if n < 0 else str(n) for n in spec.shape)
    said = [f"A tensor of shape [{shape}] of {spec.datatype.value}."]
    if spec.description:
        said.insert(0, spec.description.rstrip(".") + ".")
    if spec.unit:
        said.append(f"In {spec.unit}.")
    return " ".join(said)
