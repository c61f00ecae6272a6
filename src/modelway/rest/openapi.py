"""The OpenAPI document of a service, generated from the signatures of its models.

Every model has its own paths, so that each request and response is typed. The one server is named
relative to the document, so that it holds behind any path prefix.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelway import __version__
from modelway.domain.identifiers import ID_PATTERN
from modelway.domain.signature import Column, Signature
from modelway.inference.catalogue import Entry
from modelway.inference.samples import sample_inputs, sample_row
from modelway.rest import openapi_schemas as schemas
from modelway.rest.openapi_jobs import FAULTS as JOB_FAULTS
from modelway.rest.openapi_jobs import (
    JOB_PARAMETERS,
    PREFERENCE,
    REFERENCE,
    deferred_response,
    job_paths,
    job_response,
    job_schemas,
    process_paths,
    upload_paths,
)
from modelway.rest.openapi_labels import FAULTS as LABEL_FAULTS
from modelway.rest.openapi_labels import label_paths, label_schemas

Schema = dict[str, Any]

PROBLEM = "application/problem+json"
JSON = "application/json"
CSV = "text/csv"
COLUMNAR = {
    "application/vnd.apache.arrow.stream": "An Arrow IPC stream",
    "application/vnd.apache.parquet": "A Parquet file",
}

_PARAMETER = re.compile(r"\{([^{}]+)\}")

_FAULTS = {
    "400": ("Malformed", "The request cannot be read."),
    "404": ("NotFound", "Nothing has this name."),
    "406": ("NotAcceptable", "No content type that the request accepts is written here."),
    "409": ("IdTaken", "The caller's own id came before, with other inputs."),
    "413": ("TooLarge", "More bytes, rows or nesting than the service takes."),
    "415": ("UnsupportedMedia", "A content type that is not read here."),
    "422": ("Mismatch", "Values that do not fit the signature; `errors` names every one."),
    "500": ("Failed", "The model failed; the log of the service says why, by `request_id`."),
    "503": ("NotReady", "Models are still being loaded, or too many requests wait."),
    "504": ("TooLate", "The request's time was over before its answer."),
}


def openapi_document(
    models: Sequence[tuple[str, Entry]],
    *,
    default: str | None,
    prefix: str,
    templates: Mapping[str, str],
    output_names: Mapping[str, str],
    labels: bool,
    jobs: bool,
) -> bytes:
    """The document as JSON.

    ``models`` are the endpoints with their live models, ``default`` the one behind ``/predict``,
    ``templates`` the endpoints of further paths, ``output_names`` the words for ``prediction``;
    ``labels`` and ``jobs`` are whether those are taken here.
    """
    parts = {
        name: _Endpoint(name, model, output_names.get(name, "prediction")) for name, model in models
    }
    document: Schema = {
        "openapi": "3.1.1",
        "info": {
            "title": "Modelway",
            "version": __version__,
            "description": f"Predictions of {', '.join(parts)}. Errors are problem documents "
            "(RFC 9457) that name every offending field.",
        },
        "servers": [{"url": prefix or "."}],
        "tags": [{"name": name, "description": part.title} for name, part in parts.items()]
        + [{"name": "service", "description": "What is served, and whether it is ready"}],
        "paths": _paths(parts, default, templates),
        "components": _components(parts),
    }
    if labels:
        document["paths"] |= label_paths(_fault_refs(LABEL_FAULTS))
        document["components"]["schemas"] |= label_schemas()
    if jobs:
        document["paths"] |= _job_paths(document["paths"], parts, default)
        document["components"]["schemas"] |= job_schemas()
    return msgspec.json.encode(document)


def _paths(
    parts: Mapping[str, _Endpoint], default: str | None, templates: Mapping[str, str]
) -> Schema:
    paths: Schema = {}
    if default is not None:
        asked = parts[default]
        paths["/predict"] = asked.post("predict") | asked.get("query")
        if asked.signature.is_tabular:
            paths["/"] = asked.get("query_or_page", page=True)
    for name, part in parts.items():
        paths[f"/models/{name}/predict"] = part.post(f"predict_{name}") | part.get(f"query_{name}")
    for path, name in templates.items():
        paths[path] = parts[name].template(path)
    return paths | _service_paths(list(parts))


def _job_paths(paths: Schema, parts: Mapping[str, _Endpoint], default: str | None) -> Schema:
    """The paths of jobs, and those of ``paths`` that give one where that is preferred."""
    faults = _fault_refs(JOB_FAULTS)
    found = {f"/models/{name}/jobs": part.job(f"job_{name}") for name, part in parts.items()}
    asked = {} if default is None else parts[default].job("process")
    found |= job_paths(faults) | process_paths(asked, faults)
    shown = parts.get(default or "", next(iter(parts.values()), None))
    found |= upload_paths(_uploads(shown), faults)
    for path in ("/predict", *(f"/models/{name}/predict" for name in parts)):
        if path in paths:
            post = paths[path]["post"]
            parameters = [*post["parameters"], PREFERENCE, *JOB_PARAMETERS]
            # A job may be cancelled while its caller waits for it.
            lost = _fault_refs(("404",))
            responses = post["responses"] | {"202": deferred_response()} | lost
            later = post | {"parameters": parameters, "responses": responses}
            found[path] = paths[path] | {"post": later}
    return found


def _uploads(shown: _Endpoint | None) -> Schema:
    """What may be uploaded, by content type: rows of any endpoint, with examples of one."""
    content: Schema = {JSON: {}, CSV: {"schema": _LINES}} | _columnar()
    if shown is not None:
        content |= shown.request_content()
    return content | {JSON: content[JSON] | {"schema": _ANY_ROWS}}


def _components(parts: Mapping[str, _Endpoint]) -> Schema:
    components: Schema = {"Problem": _PROBLEM_SCHEMA, "Warning": _WARNING_SCHEMA}
    parameters: Schema = {"prediction-id": _OWN_ID, "timeout": _TIMEOUT}
    for part in parts.values():
        components.update(part.components())
        parameters.update(part.parameters())
    return {
        "schemas": components,
        "parameters": parameters,
        "responses": {name: _fault(text) for name, text in _FAULTS.values()},
        "headers": _HEADERS,
    }


class _Endpoint:
    """The operations of one endpoint; ``word`` is the key of its predictions."""

    def __init__(self, name: str, model: Entry, word: str) -> None:
        self.name = name
        self.signature = model.signature
        self.title = model.signature.description or f"The model {name}"
        self._manifest = model.bundle.manifest
        self._strict = model.strict
        self._word = word

    def components(self) -> Schema:
        """The schemas of requests and responses, by name."""
        found = {
            self._key("answer"): schemas.answer_schema(self.signature, self._manifest, self._word)
        }
        if self.signature.is_tabular:
            row = schemas.row_schema(self.signature, strict=self._strict)
            frame = schemas.frame_schema(self.signature, strict=self._strict)
            return found | {self._key("row"): row, self._key("columns"): frame}
        example = sample_inputs(self.signature)
        return found | {self._key("tensors"): schemas.tensors_schema(self.signature, example)}

    def parameters(self) -> Schema:
        """The columns as parameters of a query, by name."""
        sample = sample_row(self.signature)
        return {
            self._key(str(place)): self._parameter(column, sample, "query")
            for place, column in enumerate(self.signature.columns)
        }

    def post(self, operation: str) -> Schema:
        """Rows in a body, as the entry of a path."""
        asked = self._operation(operation, "Predict") | {
            "parameters": [*_CONTROL],
            "requestBody": {"required": True, "content": self.request_content()},
            "responses": self._responses(
                self._answers(), ("400", "406", "409", "413", "415", "422", "500", "503", "504")
            ),
        }
        return {"post": asked}

    def job(self, operation: str) -> Schema:
        """The same rows as a job, as the entry of a path."""
        faults = _fault_refs(("400", "404", "406", "409", "413", "415", "422", "500", "503", "504"))
        asked = self._operation(operation, "Predict later: ask for a job") | {
            "parameters": [*_CONTROL, *JOB_PARAMETERS],
            "requestBody": {"required": True, "content": self.request_content() | REFERENCE},
            "responses": {"202": job_response("The job, which outlives every process")} | faults,
        }
        return {"post": asked}

    def get(self, operation: str, *, page: bool = False) -> Schema:
        """One row in a query, as the entry of a path; none where the model takes tensors."""
        if not self.signature.is_tabular:
            return {}
        content: Schema = {JSON: {"schema": self._ref("answer")}} | _tables()
        summary = "Predict one row"
        if page:
            content["text/html"] = {"schema": {"type": "string"}}
            summary = "Predict one row; without a query, the page for people"
        columns = [
            {"$ref": f"#/components/parameters/{self._key(str(place))}"}
            for place in range(len(self.signature.columns))
        ]
        return {
            "get": self._operation(operation, summary)
            | {
                "parameters": [*columns, *_CONTROL],
                "responses": self._responses(
                    content, ("400", "406", "409", "422", "500", "503", "504")
                ),
            }
        }

    def template(self, path: str) -> Schema:
        """One row in a path, answered with the prediction alone, as the entry of the path."""
        sample = sample_row(self.signature)
        parameters: list[Schema] = [*_CONTROL]
        for given in _PARAMETER.findall(path):
            column = self.signature.columns[self.signature.positions[given]]
            parameters.append(self._parameter(column, sample, "path") | {"name": given})
        alone = schemas.alone_schema(self.signature, self._manifest, self._word)
        asked = self._operation(f"route_{self.name}", "Predict one row, the answer alone") | {
            "parameters": parameters,
            "responses": self._responses(
                {JSON: {"schema": alone}},
                ("400", "404", "409", "422", "500", "503", "504"),
            ),
        }
        return {"get": asked}

    def _operation(self, operation: str, summary: str) -> Schema:
        return {"operationId": operation, "tags": [self.name], "summary": summary}

    def _parameter(self, column: Column, sample: Mapping[str, Any], place: str) -> Schema:
        schema = schemas.column_schema(
            column, sample[column.name], strict=self._strict, as_text=True
        )
        return {
            "name": column.alias,
            "in": place,
            "required": place == "path" or not column.optional,
            "description": schema.pop("description", column.name),
            "schema": schema,
            "example": sample[column.name],
        }

    def request_content(self) -> Schema:
        """Rows in a body, by content type."""
        if not self.signature.is_tabular:
            example: object = sample_inputs(self.signature)
            return {JSON: {"schema": self._ref("tensors"), "example": example}}
        sample = sample_row(self.signature)
        several = {"type": "array", "items": self._ref("row")}
        frame = {"columns": list(sample), "data": [list(sample.values())]}
        content: Schema = {
            JSON: {
                "schema": {"anyOf": [self._ref("row"), several, self._ref("columns")]},
                "examples": {
                    "one": {"summary": "One row", "value": sample},
                    "several": {"summary": "Several rows", "value": [sample, sample]},
                    "columns": {"summary": "Columns and data", "value": frame},
                },
            },
            CSV: {"schema": _LINES, "example": _csv_of(self.signature, sample)},
        }
        return content | _columnar()

    def _answers(self) -> Schema:
        if not self.signature.is_tabular:
            return {JSON: {"schema": self._ref("answer")}}
        several = {"type": "array", "items": self._ref("answer")}
        one_or_several = {"schema": {"anyOf": [self._ref("answer"), several]}}
        return {JSON: one_or_several} | _tables()

    def _responses(self, content: Schema, faults: Sequence[str]) -> Schema:
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
        answered = {"description": "Predictions", "headers": headers, "content": content}
        return {"200": answered} | _fault_refs(faults)

    def _key(self, part: str) -> str:
        return f"{self.name}.{part}"

    def _ref(self, part: str) -> Schema:
        return {"$ref": f"#/components/schemas/{self._key(part)}"}


def _tables() -> Schema:
    """The formats of answers that have a line or an entry for each row."""
    said = (
        "A header, then a line for each row; `warnings` is there where anything is unusual, "
        "and holds a row's own as JSON."
    )
    return {CSV: {"schema": {"type": "string", "description": said}}} | _columnar()


def _columnar() -> Schema:
    """The columnar formats, where the library that reads them is installed."""
    if importlib.util.find_spec("pyarrow") is None:
        return {}
    return {
        kind: {"schema": {"type": "string", "format": "binary", "description": f"{text}."}}
        for kind, text in COLUMNAR.items()
    }


def _csv_of(signature: Signature, sample: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in signature.columns])
    row = [str(v).lower() if isinstance(v, bool) else v for v in sample.values()]
    writer.writerows([row, row])
    return text.getvalue()


def _service_paths(names: Sequence[str]) -> Schema:
    def get(operation: str, summary: str, schema: Schema, *faults: str) -> Schema:
        answered = {"description": summary, "content": {JSON: {"schema": schema}}}
        return {
            "get": {
                "operationId": operation,
                "tags": ["service"],
                "summary": summary,
                "responses": {"200": answered} | _fault_refs(faults),
            }
        }

    named: Schema = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(names)},
    }
    model = get("model", "One model: signature, digest, parity", _MODEL_SCHEMA, "404", "503")
    model["get"]["parameters"] = [named]
    return {
        "/models": get("models", "What is served", _MODELS_SCHEMA, "503"),
        "/models/{name}": model,
        "/health/live": get("live", "Whether the process runs", {"type": "object"}),
        "/health/ready": get("ready", "Whether every model is loaded", {"type": "object"}, "503"),
        "/openapi.json": get("openapi", "This document", {"type": "object"}, "503"),
    }


def _fault_refs(faults: Sequence[str]) -> Schema:
    return {s: {"$ref": f"#/components/responses/{_FAULTS[s][0]}"} for s in faults}


def _fault(text: str) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {PROBLEM: {"schema": schema}}}


_TEXT = {"type": "string"}
_LINES: Schema = _TEXT | {"description": "A header, then a line for each row."}
_ANY_ROWS: Schema = {
    "description": "Rows as for `predict`. They are looked at when a job names them."
}

_PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "What went wrong. Source: RFC 9457.",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT | {"description": "Stable, for programs."},
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "description": "Every offending field, the first hundred of them.",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": _TEXT | {"description": "A JSON pointer into what was sent."},
                    "column": _TEXT,
                    "code": _TEXT,
                    "received": {"type": ["string", "null"]},
                    "expected": _TEXT,
                    "message": _TEXT,
                },
                "required": ["pointer", "column", "code", "expected", "message"],
            },
        },
        "total": {"type": "integer", "description": "How many fields offend."},
        "hint": _TEXT | {"description": "What to do next."},
    },
    "required": ["type", "title", "status", "detail", "code"],
}

_WARNED = ("column", "code", "received", "expected", "message")

_WARNING_SCHEMA: Schema = {
    "type": "object",
    "description": "A value that is unusual and was answered all the same.",
    "properties": dict.fromkeys(_WARNED, _TEXT),
    "required": list(_WARNED),
}

_OWN_ID: Schema = {
    "name": "modelway-prediction-id",
    "in": "header",
    "required": False,
    "description": "An id of the caller's own for this prediction; else the service makes one.",
    "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$"},
}

_TIMEOUT: Schema = {
    "name": "modelway-timeout-ms",
    "in": "header",
    "required": False,
    "description": "After how many milliseconds the answer is of no more use.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}

_CONTROL: Sequence[Schema] = [
    {"$ref": f"#/components/parameters/{name}"} for name in ("prediction-id", "timeout")
]

_ENTRY: Schema = {"name": _TEXT, "version": _TEXT, "task": _TEXT, "runtime": _TEXT}

_MODELS_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "default": {"type": ["string", "null"]},
        "models": {
            "type": "array",
            "items": {"type": "object", "properties": _ENTRY, "required": list(_ENTRY)},
        },
    },
    "required": ["default", "models"],
}

_MODEL_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        **_ENTRY,
        "digest": _TEXT,
        "compiled": {"type": "boolean"},
        "signature": {"type": "object"},
        "classes": {"type": ["array", "null"]},
        "probabilities": {"type": "boolean"},
        "parity": {"type": ["object", "null"]},
        "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
        "why_native": {"type": ["string", "null"]},
        "sample": {"type": "object"},
    },
    "required": [*_ENTRY, "digest", "compiled", "signature"],
}

_HEADERS: Schema = {
    "modelway-endpoint": {"schema": _TEXT, "description": "The endpoint that answered."},
    "modelway-version": {"schema": _TEXT, "description": "The version that answered."},
    "modelway-prediction-id": {"schema": _TEXT, "description": "Row k is `ID:k`."},
}
