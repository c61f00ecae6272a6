"""The OpenAPI document against the standard, and the service against the document.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator

from support.live import Serve, Service
from support.promises import check_promises

MIXED = """
from datetime import datetime
from typing import Literal

def describe(kind: Literal["cat", "dog"], age: int, tame: bool | None, born: datetime | None,
             note: str | None) -> str:
    \"\"\"What is known of a pet\"\"\"
    return f"{kind} {age}"
"""
ROUTE = "/iris/{sepal_length}/{sepal_width}/{petal_length}/{petal_width}"
EXAMPLES = 25


@pytest.fixture(params=["open", "strict"])
def service(
    request: pytest.FixtureRequest, serve: Serve, iris_bundle: Path, tmp_path: Path
) -> Service:
    (tmp_path / "pets.py").write_text(MIXED)
    return serve(
        *(iris_bundle, "pets.py:describe"),
        *("--route", f"iris={ROUTE}", "--output-name", "iris=Species"),
        *(["--strict"] if request.param == "strict" else []),
    )


def document(service: Service) -> Any:
    answer = service.ask("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json


def resolved(found: Any, part: Any) -> Any:
    while "$ref" in part:
        keys = part["$ref"].removeprefix("#/").split("/")
        part = found
        for key in keys:
            part = part[key]
    return part


def operations(found: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_document_is_valid(service: Service) -> None:
    OpenAPIV31SpecValidator(document(service)).validate()


def test_every_example_is_answered(service: Service) -> None:
    found = document(service)
    asked = 0
    for path, method, operation in operations(found):
        query = {}
        for given_parameter in operation.get("parameters", []):
            parameter = resolved(found, given_parameter)
            example = parameter.get("example", parameter["schema"].get("enum", [None])[0])
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(example))
            elif parameter["in"] == "query":
                query[parameter["name"]] = (
                    example if isinstance(example, str) else json.dumps(example)
                )
        text = "&".join(f"{name}={value}" for name, value in query.items())
        address = f"{path}?{text}" if text else path
        for kind, body in bodies(operation):
            answer = service.ask(
                address,
                method=method.upper(),
                body=body.encode() if isinstance(body, str) else None,
                json=None if isinstance(body, str) else body,
                headers={"content-type": kind} if kind else None,
            )
            assert answer.status == 200, f"{method} {address}: {answer.body.decode()}"
            asked += 1
    assert asked > 15


def bodies(operation: Any) -> Iterator[tuple[str, Any]]:
    """Content type and example of each body that an operation takes; one empty one for a GET."""
    content = operation.get("requestBody", {}).get("content", {"": {"example": None}})
    for kind, media in content.items():
        if "examples" in media:
            yield from ((kind, one["value"]) for one in media["examples"].values())
        elif "example" in media:
            yield kind, media["example"]


def test_the_example_of_csv_has_the_columns(service: Service) -> None:
    content = document(service)["paths"]["/predict"]["post"]["requestBody"]["content"]
    header, *rows = csv.reader(io.StringIO(content["text/csv"]["example"]))
    assert header == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert len(rows) == 2


def test_types_ranges_and_labels_come_from_the_training_data(service: Service) -> None:
    schemas = document(service)["components"]["schemas"]
    length = schemas["iris.row"]["properties"]["petal_length"]
    assert (length["type"], length["x-training-range"]) == ("number", [1.0, 6.9])
    answer = schemas["iris.answer"]["properties"]
    assert answer["Species"]["enum"] == [0, 1, 2]
    assert schemas["describe.row"]["properties"]["kind"]["enum"] == ["cat", "dog"]
    assert schemas["describe.row"]["properties"]["born"]["type"] == ["string", "null"]


def test_what_the_document_promises_holds(service: Service) -> None:
    """What fits a schema is answered, what does not is refused, and answers fit theirs."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    started = time.time_ns() % 2**32
    print(f"seed {started}")
    sent = [check_promises(one.ok(), started, EXAMPLES) for one in schema.get_all_operations()]
    assert sum(sent) > 100
