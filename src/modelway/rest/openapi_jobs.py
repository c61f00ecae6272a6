"""Jobs in the OpenAPI document: asking for one, how it stands, its result."""

from __future__ import annotations

from typing import Any

from modelway.domain.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY, USUAL_PRIORITY, JobState

Schema = dict[str, Any]

FAULTS = ("400", "404", "406", "409", "413", "415", "503")

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_STATE: Schema = {"type": "string", "enum": list(JobState)}
_ID: Schema = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
_NAMED = ("modelway-endpoint", "modelway-version", "modelway-prediction-id")
_JOB_HEADERS: Schema = {
    "location": {"schema": _TEXT, "description": "Where the job is found."},
    "retry-after": {
        "schema": {"type": "integer"},
        "description": "Seconds after which to look again; absent once it is done.",
    },
}

JOB_PARAMETERS: list[Schema] = [
    {
        "name": "idempotency-key",
        "in": "header",
        "description": "The same key with the same body is the same job: 1 to 255 visible ASCII "
        "characters, best in quotes.",
        "schema": {"type": "string", "pattern": '^("[!-~]{1,255}"|[!#-~][!-~]{0,254})$'},
    },
    {
        "name": "modelway-callback",
        "in": "header",
        "description": "A URL that is told of the job's end, of those that the service allows.",
        "schema": {"type": "string", "format": "uri", "maxLength": 2048},
    },
    {
        "name": "modelway-priority",
        "in": "header",
        "description": "The highest is answered first.",
        "schema": {
            "type": "integer",
            "minimum": LOWEST_PRIORITY,
            "maximum": HIGHEST_PRIORITY,
            "default": USUAL_PRIORITY,
        },
    },
]
"""What may be said of a job when it is asked for."""

PREFERENCE: Schema = {
    "name": "prefer",
    "in": "header",
    "description": "With `respond-async` the request becomes a job: its answer is given if it is "
    "there within the seconds of `wait`, else 202.",
    "schema": _TEXT,
    "example": "respond-async, wait=5",
}


def job_schemas() -> Schema:
    """The schemas of responses, by name."""
    metadata = {
        "model": {**_TEXT, "description": "The endpoint."},
        "version": {**_TEXT, "description": "The version, where the job is for one alone."},
        "priority": {"type": "integer"},
        "created_at": _TIME,
        "expires_at": {**_TIME, "description": "Until when it may be answered."},
        "ended_at": _TIME,
        "attempt": {"type": "integer", "description": "How often a worker has taken it."},
        "position": {
            "type": "integer",
            "description": "1 for the next of its model's queued jobs; not said in lists.",
        },
        "progress": {
            "type": "object",
            "properties": {"rows": {"type": "integer"}, "rows_done": {"type": "integer"}},
            "required": ["rows", "rows_done"],
            "description": "The rows of its input, and how many of them are answered.",
        },
    }
    job = {
        "id": {**_TEXT, "description": "Also the id of the prediction."},
        "done": {"type": "boolean", "description": "Whether nothing more happens to it."},
        "state": _STATE,
        "metadata": {"type": "object", "properties": metadata},
        "response": {"description": "The answer that predict would have given, where it is JSON."},
        "error": {
            "type": "object",
            "properties": {"code": _TEXT, "message": _TEXT},
            "description": "Why there is no answer: the last attempt's error, `job-cancelled` or "
            "`job-expired`.",
        },
    }
    page = {
        "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/jobs.job"}},
        "next": {
            "type": ["string", "null"],
            "description": "What to send as `before` for those after these; null at the end.",
        },
    }
    return {
        "jobs.job": {
            "type": "object",
            "properties": job,
            "required": ["id", "done", "state", "metadata"],
        },
        "jobs.page": {"type": "object", "properties": page, "required": ["jobs", "next"]},
    }


def job_response(description: str) -> Schema:
    """A response that is a job."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/jobs.job"}}}
    return {"description": description, "headers": _JOB_HEADERS, "content": content}


def deferred_response() -> Schema:
    """The response to who prefers to be answered later."""
    said = {"preference-applied": {"schema": _TEXT, "description": "What of `prefer` was done."}}
    job = job_response("The job, where the caller prefers to be answered later")
    return job | {"headers": job["headers"] | said}


REFERENCE: Schema = {
    "application/vnd.modelway.upload+json": {
        "schema": {
            "type": "object",
            "properties": {"upload": {**_TEXT, "description": "The id of an upload."}},
            "required": ["upload"],
            "additionalProperties": False,
        },
        "example": {"upload": "01a2006b-0c2e-7d51-9f00-4a1b5c000000"},
    }
}
"""A body that names an upload, by its content type."""


def upload_paths(content: Schema, fault_refs: Schema) -> Schema:
    """The paths of ``/uploads``; ``content`` is what may be sent, by content type."""
    upload = {
        "id": _TEXT,
        "bytes": {"type": "integer"},
        "media_type": _TEXT,
        "expires_at": _TIME,
    }
    schema: Schema = {"type": "object", "properties": upload, "required": list(upload)}
    kept = {
        "description": "What jobs may now name",
        "content": {"application/json": {"schema": schema}},
    }
    post = {
        "operationId": "upload",
        "tags": ["service"],
        "summary": "Send rows that jobs may then name",
        "requestBody": {"required": True, "content": content},
        "responses": {"201": kept} | _some(fault_refs, "400", "413", "415", "503"),
    }
    delete = {
        "operationId": "upload_remove",
        "tags": ["service"],
        "summary": "Take back what was sent; jobs that named it have it still",
        "parameters": [_ID],
        "responses": {"204": {"description": "It is not there any more"}}
        | _some(fault_refs, "404", "503"),
    }
    return {"/uploads": {"post": post}, "/uploads/{id}": {"delete": delete}}


def process_paths(asked: Schema, fault_refs: Schema) -> Schema:
    """``/process``; ``asked`` is its POST for the default endpoint, empty where there is none."""
    one: Schema = {"name": "id", "in": "query", "required": True, "schema": _TEXT}
    stands = {
        "operationId": "process_state",
        "tags": ["service"],
        "summary": "How a job stands",
        "parameters": [one],
        "responses": {"200": job_response("How it stands")}
        | _some(fault_refs, "400", "404", "503"),
    }
    if not asked:
        return {"/process": {"get": stands}}
    model: Schema = {"name": "model", "in": "query", "schema": _TEXT}
    post = asked["post"] | {"parameters": [*asked["post"]["parameters"], model]}
    return {"/process": {"get": stands, "post": post}}


_PAGE: Schema = {
    "description": "Jobs, the newest first",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/jobs.page"}}},
}
_RESULT: Schema = {
    "description": "The answer: in JSON and as tables, or in the table asked for with the job",
    "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _NAMED},
    "content": {"application/json": {}, "text/csv": {}},
}


def job_paths(fault_refs: Schema) -> Schema:
    """The paths below ``/jobs``; ``fault_refs`` are the responses to ``FAULTS``."""

    def operation(name: str, summary: str, responses: Schema, *parameters: Schema) -> Schema:
        return {
            "operationId": name,
            "tags": ["service"],
            "summary": summary,
            "parameters": list(parameters),
            "responses": responses | _some(fault_refs, "404", "503"),
        }

    def asked(name: str, schema: Schema) -> Schema:
        return {"name": name, "in": "query", "schema": schema}

    stands = {"200": job_response("How it stands")}
    return {
        "/jobs": {
            "get": operation(
                "jobs",
                "List jobs",
                {"200": _PAGE} | _some(fault_refs, "400"),
                asked("state", _STATE),
                asked("model", _TEXT),
                asked("before", _TEXT),
                asked("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
            )
        },
        "/jobs/{id}": {
            "get": operation("job", "How a job stands", stands, _ID),
            "delete": operation(
                "job_cancel",
                "Cancel a job that is not done",
                stands | _some(fault_refs, "409"),
                _ID,
            ),
        },
        "/jobs/{id}/result": {
            "get": operation(
                "job_result",
                "The answer of a job",
                {"200": _RESULT, "202": job_response("It is not done")} | _some(fault_refs, "406"),
                _ID,
            )
        },
    }


def _some(fault_refs: Schema, *statuses: str) -> Schema:
    return {one: fault_refs[one] for one in statuses}
