"""The views under which records are asked for in SQL, whatever layouts their files have.

Every layout of an endpoint is a relation of its own; its view puts them under one another, with the
fields of ``inputs`` and ``outputs`` by name and in a type that holds all of them: the common one,
DOUBLE for numbers of several types, else VARCHAR. ``predictions`` holds all endpoints, so inputs
and outputs are JSON there: ``inputs.income`` or ``inputs->>'income'``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

PREDICTIONS = "predictions"
LABELS = "labels"
LABELLED = "labelled"
RESERVED = (PREDICTIONS, LABELS, LABELLED)

PLAIN = (
    "prediction_id",
    "row",
    "endpoint",
    "model",
    "version",
    "digest",
    "role",
    "event_time",
    "record_time",
    "status",
    "latency_s",
    "principal",
    "sampling_rate",
    "batch",
    "parameters",
)
NESTED = ("inputs", "outputs")

_EMPTY = """CREATE VIEW predictions AS
SELECT NULL::VARCHAR AS prediction_id, NULL::INTEGER AS "row",
NULL::VARCHAR AS endpoint, NULL::VARCHAR AS model, NULL::VARCHAR AS version,
NULL::VARCHAR AS digest, NULL::VARCHAR AS role, NULL::TIMESTAMP AS event_time,
NULL::TIMESTAMP AS record_time, NULL::VARCHAR AS status, NULL::DOUBLE AS latency_s,
NULL::VARCHAR AS principal, NULL::DOUBLE AS sampling_rate,
NULL::STRUCT(id VARCHAR, place BIGINT, "rows" BIGINT) AS batch, NULL::VARCHAR AS parameters,
NULL::JSON AS inputs, NULL::JSON AS outputs, NULL::VARCHAR AS prediction,
NULL::DOUBLE AS prediction_number WHERE false"""

_LABELLED = """CREATE VIEW labelled AS SELECT p.*, l.value AS label, l.number AS label_number,
l.at AS label_at, l.source AS label_source FROM predictions p
JOIN labels l ON l.prediction_id = p.prediction_id AND l."row" = p."row" """

Relation = tuple[str, pa.Schema]
"""The name of a relation, and its schema."""


def statements(relations: Mapping[str, Sequence[Relation]], *, labelled: bool) -> Iterable[str]:
    """What makes the views over the relations of each endpoint.

    Where ``labelled``, that view is made too, and ``labels`` is there already.
    """
    taken = {name.lower() for name in RESERVED}
    everything = []
    for endpoint, its in sorted(relations.items()):
        view = endpoint
        while view.lower() in taken:
            view += "_"
        taken.add(view.lower())
        yield f"CREATE VIEW {quoted(view)} AS {_endpoint(its)}"
        everything += [_as_json(name, schema) for name, schema in its]
    if everything:
        yield f"CREATE VIEW {PREDICTIONS} AS {' UNION ALL '.join(everything)}"
    else:
        yield _EMPTY
    if labelled:
        yield _LABELLED


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """The value as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _endpoint(relations: Sequence[Relation]) -> str:
    structs = {place: _fields(place, relations) for place in NESTED}
    parts = []
    for name, schema in relations:
        columns = [quoted(one) for one in PLAIN]
        columns += [_struct(place, schema, structs[place]) for place in NESTED]
        parts.append(f"SELECT {', '.join(columns)} FROM {name}")  # noqa: S608 - names are quoted
    return " UNION ALL ".join(parts)


def _fields(place: str, relations: Sequence[Relation]) -> dict[str, tuple[str, str]]:
    """The fields of all relations, by name in small letters: how it is written, and its type."""
    found: dict[str, tuple[str, set[pa.DataType]]] = {}
    for _, schema in relations:
        if place in schema.names:
            for one in schema.field(place).type:
                found.setdefault(one.name.lower(), (one.name, set()))[1].add(one.type)
    return {key: (name, _common(kinds)) for key, (name, kinds) in found.items()}


def _common(kinds: set[pa.DataType]) -> str:
    """A type that holds all; empty where it is the one they have."""
    if len(kinds) == 1:
        return ""
    numbers = all(pa.types.is_integer(one) or pa.types.is_floating(one) for one in kinds)
    return "DOUBLE" if numbers else "VARCHAR"


def _struct(place: str, schema: pa.Schema, fields: Mapping[str, tuple[str, str]]) -> str:
    if not fields:
        return f"NULL AS {place}"
    here = {}
    if place in schema.names:
        here = {one.name.lower(): one.name for one in schema.field(place).type}
    packed = []
    for key, (name, kind) in fields.items():
        value = f"{place}.{quoted(here[key])}" if key in here else "NULL"
        packed.append(f"{quoted(name)} := {value}{'::' + kind if kind else ''}")
    struct = f"struct_pack({', '.join(packed)})"
    if not here:
        return f"CASE WHEN false THEN {struct} END AS {place}"
    return f"CASE WHEN {place} IS NOT NULL THEN {struct} END AS {place}"


def _as_json(name: str, schema: pa.Schema) -> str:
    columns = [quoted(one) for one in PLAIN]
    columns += [
        f"to_json({one}) AS {one}" if one in schema.names else f"NULL::JSON AS {one}"
        for one in NESTED
    ]
    kind = None
    if "outputs" in schema.names:
        outputs = schema.field("outputs").type
        place = outputs.get_field_index("prediction")
        kind = None if place < 0 else outputs.field(place).type
    if kind is None:
        columns += ["NULL::VARCHAR AS prediction", "NULL::DOUBLE AS prediction_number"]
    else:
        columns.append("outputs.prediction::VARCHAR AS prediction")
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        number = "outputs.prediction" if is_number else "NULL"
        columns.append(f"{number}::DOUBLE AS prediction_number")
    return f"SELECT {', '.join(columns)} FROM {name}"  # noqa: S608 - names are quoted
