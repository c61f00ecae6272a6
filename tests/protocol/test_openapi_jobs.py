"""The OpenAPI document of ``modelway up`` against what it answers: jobs, uploads, what prefers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from modelway.rest.uploads import REFERENCE
from support.canaries import answering
from support.homes import HOME, Homes, Up
from support.job_flow import ended, row
from support.promises import check_promises

EXAMPLES = 15
IDEMPOTENCY = "idempotency-key"
LARGEST_BODY = 64 * 1024
LARGE, ROW = b" " * (LARGEST_BODY + 1), json.dumps(row(0)).encode()
JOBS, UPLOADS, PROCESS = "/models/iris/jobs", "/uploads", "/process"


@pytest.fixture(scope="module")
def up(iris_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A service of one endpoint, which takes small bodies only."""
    folder = tmp_path_factory.mktemp("up")
    answering(folder / HOME, iris_bundle, "iris")
    environment = {"MODELWAY__REST__MAX_BODY_BYTES": str(LARGEST_BODY)}
    with Homes() as homes:
        yield homes.up(folder, "--no-mlflow", workers=1, environment=environment)


def operation(up: Up, method: str, path: str) -> Any:
    """What the document has at a path."""
    found: Any = up.ask("/openapi.json").json
    return found["paths"][path][method.lower()]


def test_what_the_document_promises_of_jobs_holds(up: Up) -> None:
    schema = schemathesis.openapi.from_url(f"{up.url}/openapi.json")
    started = time.time_ns() % 2**32
    print(f"seed {started}")
    sent = 0
    for found in schema.get_all_operations():
        one = found.ok()
        given = one.definition.raw.get("parameters", [])
        prefers = any(asked.get("name") == "prefer" for asked in given)
        if prefers or one.path.startswith((JOBS, "/jobs", UPLOADS, PROCESS)):
            sent += check_promises(one, started, EXAMPLES)
    assert sent > 100


@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (404, "POST", JOBS, b'{"upload": "absent"}', {"content-type": REFERENCE.decode()}),
        (400, "POST", JOBS, ROW, {IDEMPOTENCY: "a b"}),
        (413, "POST", JOBS, LARGE, {}),
        (404, "POST", f"{PROCESS}?model=nope", ROW, {}),
        (400, "GET", f"{PROCESS}?job=1", None, {}),
        (413, "POST", UPLOADS, LARGE, {}),
        (415, "POST", UPLOADS, ROW, {"content-encoding": "br"}),
        (400, "POST", UPLOADS, b"", {}),
        (400, "GET", "/jobs?limit=0", None, {}),
        (404, "GET", "/jobs?before=absent", None, {}),
    ],
)
def test_a_refusal_is_documented(
    up: Up, status: int, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    named = {"content-type": "application/json", **headers}
    answer = up.ask(path, method=method, body=body, headers=named)
    assert answer.status == status, answer.body
    assert str(status) in operation(up, method, path.partition("?")[0])["responses"]


@pytest.mark.parametrize(
    "key", ["k", '"k"', '"""', "k" * 255, f'"{"k" * 255}"', '""', "k" * 256, "a b", '"k"k" "']
)
def test_a_key_fits_the_document_where_it_is_taken(up: Up, key: str) -> None:
    given = operation(up, "POST", JOBS)["parameters"]
    (pattern,) = [one["schema"]["pattern"] for one in given if one.get("name") == IDEMPOTENCY]
    answer = up.ask(JOBS, body=ROW, headers={"content-type": "application/json", IDEMPOTENCY: key})
    assert answer.status == (202 if re.search(pattern, key) else 400), answer.body


def test_what_a_job_that_is_done_refuses_is_documented(up: Up) -> None:
    taken: Any = up.ask(JOBS, payload=row(1)).json
    path = f"/jobs/{ended(up, taken['id'])['id']}"
    assert up.ask(path, method="DELETE").status == 409
    assert up.ask(f"{path}/result", headers={"accept": "image/png"}).status == 406
    assert "409" in operation(up, "DELETE", "/jobs/{id}")["responses"]
    assert "406" in operation(up, "GET", "/jobs/{id}/result")["responses"]
