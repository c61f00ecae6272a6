"""``/labels`` in the OpenAPI document: what may be said of predictions, and what is stored then."""

from __future__ import annotations

from typing import Any

from modelway.records.labelling import LONGEST_ID, MOST_CLAIMS, MOST_ROWS

Schema = dict[str, Any]

FAULTS = ("400", "404", "413", "422", "503")

_ID = "01a2006a-631b-79d3-a614-1c2f00000000"
_VALUE: Schema = {
    "type": ["number", "string", "boolean"],
    "description": "What was true, of the type of the model's own labels.",
}
_CLAIM: Schema = {
    "prediction_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_ID,
        "pattern": "^[^\\u0000]*$",
        "description": "The id of the answer; `ID:k` is row k of it.",
    },
    "row": {"type": "integer", "minimum": 0, "maximum": MOST_ROWS - 1},
    "at": {
        "type": "string",
        "format": "date-time",
        "description": "Since when it is true; else since it is said.",
    },
    "source": {
        "type": "string",
        "pattern": "^[^\\u0000]*$",
        "description": "Who says so; refused where keys are asked for, for then the key says it.",
    },
}


def label_schemas() -> Schema:
    """The schemas of requests and responses, by name."""
    either = [{"$ref": f"#/components/schemas/labels.{one}"} for one in ("value", "verdict")]
    said = {
        "value": _object({**_CLAIM, "value": _VALUE, "verdict": {"const": "decline"}}, "value"),
        "verdict": _object({**_CLAIM, "verdict": {"enum": ["confirm", "decline"]}}, "verdict"),
    }
    said["verdict"]["description"] = (
        "That what was predicted was right, or of two classes that it was wrong; the prediction "
        "must be recorded."
    )
    stored = {
        "prediction_id": {"type": "string"},
        "row": {"type": "integer"},
        "value": _VALUE,
        "at": {"type": "string", "format": "date-time"},
        "received_at": {"type": "string", "format": "date-time"},
        "source": {"type": "string"},
        "revision": {"type": "integer", "description": "From 1 on; the highest holds."},
    }
    return {
        "labels.claim": {"anyOf": either},
        **{f"labels.{name}": schema for name, schema in said.items()},
        "labels.stored": {"type": "object", "properties": stored, "required": list(stored)},
    }


def label_paths(fault_refs: Schema) -> Schema:
    """The path with its one method; ``fault_refs`` are the responses to ``FAULTS``."""
    claim = {"$ref": "#/components/schemas/labels.claim"}
    many = {"type": "array", "items": claim, "maxItems": MOST_CLAIMS}
    wrapped = {
        "type": "object",
        "properties": {"labels": many},
        "required": ["labels"],
        "additionalProperties": False,
    }
    one: Schema = {"prediction_id": _ID, "value": 1}
    of_row = {"prediction_id": _ID, "row": 1, "value": 0, "at": "2026-05-17T12:00:00Z"}
    asked = {
        "schema": {"anyOf": [claim, many, wrapped]},
        "examples": {
            "one": {"summary": "One label", "value": one},
            "several": {"summary": "Several", "value": {"labels": [one, of_row]}},
        },
    }
    stored = {"type": "array", "items": {"$ref": "#/components/schemas/labels.stored"}}
    answer = {"type": "object", "properties": {"labels": stored}, "required": ["labels"]}
    answered = {
        "description": "The labels as they are stored, in the order of the request",
        "content": {"application/json": {"schema": answer}},
    }
    post = {
        "operationId": "labels",
        "tags": ["service"],
        "summary": "Say what was true of predictions",
        "requestBody": {"required": True, "content": {"application/json": asked}},
        "responses": {"200": answered} | fault_refs,
    }
    return {"/labels": {"post": post}}


def _object(properties: Schema, needed: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": ["prediction_id", needed],
        "additionalProperties": False,
    }
