"""MLflow's scoring protocol: the same models and bodies to MLflow's own server and to this one.

Where the two differ on purpose, ``DIFFERENT`` says so, body by body.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelway.bundles.manifest import (
    FORMAT_VERSION,
    ORIGINAL,
    Layout,
    Manifest,
    OriginalModel,
    Task,
)
from modelway.domain.signature import Column, Datatype, Scalar, Signature, TensorSpec, columns_named
from modelway.inference.dataplane import DataPlane
from modelway.rest import invocations
from modelway.settings import RestSettings
from support.asgi import asking
from support.doors import answers_to, bundle_of, door_app
from support.live import Answer, Ask, Serve
from support.served import (
    FLOWER,
    compiled_bundle,
    flower_graph,
    loaded,
    plane_of,
    tensor_bundle,
)

SCORING = Path(__file__).parent / "clients" / "mlflow_scoring.py"
CLIENT = SCORING.with_name("mlflow_client.py")
JSON = "application/json"
CSV = "text/csv"
PATHS = ("/invocations", "/ping", "/health", "/version")

FLOWERS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
TRADES = [[1.5, 2, "x"], [0.5, 3, "y"]]
FLOWER_ROWS = [{"sepal_length": 5, "petal_width": 2.2}, {"sepal_length": 5, "petal_width": 0}]
N_REQUESTS = 1000
NUMBERS = columns_named(FLOWERS)
TRADE = (
    Column("a", "a", Datatype.FP64),
    Column("b", "b", Datatype.INT64),
    Column("name", "name", Datatype.STRING),
)

Body = tuple[str | None, str]


def body(content: object, kind: str | None = JSON) -> Body:
    return kind, content if isinstance(content, str) else json.dumps(content)


def forms(names: list[str], rows: list[list[Any]]) -> dict[str, Body]:
    """Every form in which a table may come, right and wrong."""
    records = [dict(zip(names, row, strict=True)) for row in rows]
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    header = ",".join(names)
    lines = [",".join(map(str, row)) for row in rows]
    turned = {"columns": names[::-1], "data": [row[::-1] for row in rows]}
    less = {"columns": names[:-1], "data": [row[:-1] for row in rows]}
    more = {"columns": [*names, "z"], "data": [[*row, 1] for row in rows]}
    indexed = {"index": [7, 9], "columns": names, "data": rows}
    return {
        "split": body({"dataframe_split": {"columns": names, "data": rows}}),
        "split in another order": body({"dataframe_split": turned}),
        "split with an index": body({"dataframe_split": indexed}),
        "split with a short index": body({"dataframe_split": {**indexed, "index": [1]}}),
        "split without a column": body({"dataframe_split": less}),
        "split with one more column": body({"dataframe_split": more}),
        "split with a key of its own": body({"dataframe_split": {**indexed, "x": 1}}),
        "split as an array": body({"dataframe_split": rows}),
        "records": body({"dataframe_records": records}),
        "records as an object": body({"dataframe_records": records[0]}),
        "instances": body({"instances": records}),
        "instances by column": body({"instances": columns}),
        "instances as arrays": body({"instances": rows}),
        "inputs": body({"inputs": columns}),
        "inputs as rows": body({"inputs": records}),
        "inputs of one row": body({"inputs": records[0]}),
        "inputs as arrays": body({"inputs": rows}),
        "inputs of other lengths": body({"inputs": {**columns, names[0]: [rows[0][0]]}}),
        "csv": body("\n".join([header, *lines, ""]), CSV),
        "csv with an index": body(
            "\n".join(["," + header, *(f"{k},{line}" for k, line in enumerate(lines))]), CSV
        ),
        "csv without a column": body("\n".join([header + "_", *lines]), CSV),
        "csv without a header": body("\n".join(lines), CSV),
        "two forms": body({"instances": records, "inputs": columns}),
        "neither": body({"x": 1}),
    }


def odd(names: list[str], row: list[Any]) -> dict[str, Body]:
    """What may be said of one row, and what is no request."""
    record = dict(zip(names, row, strict=True))
    split = {"columns": names, "data": [row]}

    def of(value: Any) -> Body:
        return body({"dataframe_split": {"columns": names, "data": [[value, *row[1:]]]}})

    return {
        "whole numbers": of(5),
        "a text": of("abc"),
        "a null": of(None),
        "a NaN": of(math.nan),
        "a number as text": of("5.1"),
        "true": of(True),
        "an array": of([1, 2]),
        "an infinity": of(math.inf),
        "a short row": body({"dataframe_split": {"columns": names, "data": [row, row[:2]]}}),
        "a record without a column": body({"dataframe_records": [record, {names[0]: 1.0}]}),
        "split without columns": body({"dataframe_split": {"data": [row]}}),
        "split without data": body({"dataframe_split": {"columns": names}}),
        "no rows": body({"dataframe_split": {"columns": names, "data": []}}),
        "no records": body({"dataframe_records": []}),
        "a flat row": body({"instances": row}),
        "features": body({"instances": [{"features": row}]}),
        "columns of (n, 1)": body({"inputs": {k: [[v]] for k, v in record.items()}}),
        "a scalar": body({"inputs": 3}),
        "a signature name": body({"signature_name": "x", "instances": [record]}),
        "params for a model that takes none": body({"instances": [record], "params": {"x": 1}}),
        "params that are null": body({"instances": [record], "params": None}),
        "a list": body([record]),
        "a number": body("3"),
        "a text alone": body('"x"'),
        "nothing": body(""),
        "half of it": body('{"instances": ['),
        "no utf-8": body('{"a": "\xff"}'),
        "the first mlflow's": body(split),
        "a prompt": body({"prompt": "x"}),
        "utf-8": body({"instances": [record]}, "application/json; charset=UTF-8"),
        "latin-1": body({"instances": [record]}, "application/json; charset=latin-1"),
        "a parameter": body({"instances": [record]}, "application/json; version=1"),
        "the first mlflow's type": body(split, "application/json; format=pandas-split"),
        "plain text": body({"instances": [record]}, "text/plain"),
        "capitals": body({"instances": [record]}, "Application/JSON"),
        "no type": body({"instances": [record]}, None),
        "csv of nothing": body("", CSV),
        "csv that is no utf-8": body("\xff", CSV),
        "csv with an empty cell": body(",".join(names) + "\n,1,2,3\n", CSV),
        "csv with a text": body(",".join(names) + "\nabc,1,2,3\n", CSV),
        "csv with a long row": body(",".join(names) + "\n1,2,3,4\n1,2,3,4,5\n", CSV),
    }


CORPUS: Mapping[str, Mapping[str, Body]] = {
    "codes": {**forms(FLOWERS, ROWS), **odd(FLOWERS, ROWS[0])},
    "names": forms(FLOWERS, ROWS),
    "pairs": forms(FLOWERS, ROWS),
    "booster": forms(FLOWERS, ROWS),
    "matrix": {
        "inputs": body({"inputs": ROWS}),
        "instances": body({"instances": ROWS}),
        "split without columns": body({"dataframe_split": {"data": ROWS}}),
        "split of a frame without names": body(
            {"dataframe_split": {"index": [0, 1], "columns": [0, 1, 2, 3], "data": ROWS}}
        ),
        "too narrow": body({"inputs": [row[:3] for row in ROWS]}),
    },
    "table": forms(["a", "b", "name"], TRADES),
    "column": forms(["a", "b", "name"], TRADES),
    "objects": {
        **forms(["a", "b", "name"], TRADES),
        **{
            f"params {params}": body(
                {
                    "dataframe_split": {"columns": ["a", "b", "name"], "data": TRADES},
                    "params": params,
                }
            )
            for params in ({"top": 7}, {"top": "x"}, {"other": 1}, {"top": None}, {}, [1])
        },
    },
    "shout": {
        "split": body({"dataframe_split": {"columns": ["prompt"], "data": [["hi"], ["ho"]]}}),
        "values": body({"instances": ["hi", "ho"]}),
        "values as inputs": body({"inputs": ["hi", "ho"]}),
        "a bare row": body({"prompt": "hi"}),
        "an unknown bare row": body({"messages": [{"role": "user", "content": "hi"}]}),
    },
}
"""Bodies by model and title."""

DIFFERENT: Mapping[str, tuple[int, int]] = {
    # Rows in column order, which MLflow takes only where columns have no names.
    "instances as arrays": (400, 200),
    "inputs as arrays": (400, 200),
    "split without columns": (400, 200),
    "features": (400, 200),
    "columns of (n, 1)": (400, 200),
    "csv without a header": (400, 200),
    # Values that MLflow makes fit.
    "a number as text": (200, 400),
    "true": (200, 400),
    # No rows are no predictions.
    "no rows": (400, 200),
    "no records": (400, 200),
    # The first MLflow's forms, and types that MLflow cannot read or takes for a fault of its own.
    "the first mlflow's": (400, 200),
    "the first mlflow's type": (415, 200),
    "capitals": (415, 200),
    "no type": (500, 200),
}
"""Where the statuses differ on purpose: MLflow's, and ours."""

OTHER_CODES = frozenset(
    (
        *("a record without a column", "inputs of other lengths", "an array", "a flat row"),
        *("a scalar", "too narrow", "csv with an empty cell", "params {'top': 'x'}", "params [1]"),
    )
)
"""Errors that MLflow notices at another place, so that it has another code for them."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MLflow's models and ``answers.json``: what its own server answers."""
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "corpus.json").write_text(json.dumps(CORPUS))
    done = subprocess.run(
        [
            sys.executable,
            SCORING,
            folder / "models",
            folder / "corpus.json",
            folder / "answers.json",
        ],
        env={**os.environ, "MLFLOW_TRACKING_URI": (folder / "runs").as_uri()},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def doors(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ask]:
    """How to ask each of the models here."""
    folder = tmp_path_factory.mktemp("bundles")
    models = scored / "models"
    unnamed = columns_named([f"x{k}" for k in range(1, 5)])
    sklearn: dict[str, tuple[tuple[Column, ...], tuple[Scalar, ...] | None]] = {
        "codes": (NUMBERS, (0, 1, 2)),
        "names": (NUMBERS, ("setosa", "versicolor", "virginica")),
        "pairs": (NUMBERS, None),
        "matrix": (unnamed, None),
    }
    found = {}
    for name, (columns, classes) in sklearn.items():
        task = Task.REGRESSION if classes is None else Task.CLASSIFICATION
        original = OriginalModel("sklearn", f"{ORIGINAL}/model.pickle", "pickle")
        layout: Layout = "matrix" if name == "matrix" else "columns"
        manifest = Manifest(
            FORMAT_VERSION, task, "sklearn", original, layout, classes, classes is not None
        )
        found[name] = _asking(
            folder / name, models / name / "model.pkl", manifest, Signature(columns)
        )
    original = OriginalModel("xgboost", f"{ORIGINAL}/model.ubj", "xgboost-ubj")
    manifest = Manifest(FORMAT_VERSION, Task.REGRESSION, "xgboost", original, "matrix")
    found["booster"] = _asking(
        folder / "booster", models / "booster" / "model.ubj", manifest, Signature(NUMBERS)
    )
    for name, signature in (
        ("table", Signature(TRADE)),
        ("column", Signature(TRADE, outputs=(TensorSpec("twice", Datatype.FP64, (-1,)),))),
        ("objects", Signature(TRADE)),
        ("shout", Signature((Column("prompt", "prompt", Datatype.STRING),))),
    ):
        original = OriginalModel("mlflow", f"{ORIGINAL}/mlflow", "mlflow")
        manifest = Manifest(FORMAT_VERSION, Task.FUNCTION, "mlflow", original, "columns")
        found[name] = _asking(folder / name, models / name, manifest, signature)
    return found


def _asking(folder: Path, source: Path, manifest: Manifest, signature: Signature) -> Ask:
    """How to ask a bundle of an original."""
    (folder / ORIGINAL).mkdir(parents=True)
    original = folder / manifest.original.path
    if source.is_dir():
        shutil.copytree(source, original)
    else:
        shutil.copy(source, original)
    bundle_of(folder, manifest, signature)
    return door_of(plane_of([loaded(folder, folder.name)]))


def door_of(plane: DataPlane) -> Ask:
    """How to ask the door alone."""
    settings = RestSettings()
    refusals = dict.fromkeys(PATHS, invocations.refusal)
    return asking(door_app(plane, settings, invocations.routes(plane, settings), refusals))


def _sent(ask: Ask, kind: str | None, text: str) -> Answer:
    headers = {} if kind is None else {"content-type": kind}
    return ask("/invocations", method="POST", body=text.encode("latin-1"), headers=headers)


@pytest.mark.parametrize("model", CORPUS)
def test_both_servers_answer_alike(scored: Path, doors: Mapping[str, Ask], model: str) -> None:
    theirs = json.loads((scored / "answers.json").read_text())[model]
    wrong = []
    for title, (kind, text) in CORPUS[model].items():
        ours = _sent(doors[model], kind, text)
        difference = _difference(title, theirs[title], ours)
        if difference:
            wrong.append(f"{title}: {difference}\n  theirs: {theirs[title]}\n  ours: {ours.body!r}")
    assert not wrong, "\n".join(wrong)


def _difference(title: str, theirs: list[Any], ours: Answer) -> str | None:
    """What is wrong with our answer, if anything is."""
    status, kind, text = theirs
    if (status, ours.status) == DIFFERENT.get(title):
        pass
    elif status != ours.status:
        return f"{ours.status} is not {status}"
    if ours.status == 415:
        same = ours.headers["content-type"] == kind
        return None if same else "another type of text"
    if ours.headers["content-type"] not in (JSON, "text/csv; charset=utf-8"):
        return f"{ours.headers['content-type']} is no type of an answer"
    if ours.status != 200:
        return _refusal_difference(title, text if status == ours.status else None, ours)
    if status == 200 and not _same(json.loads(text), ours.json):
        return "another answer"
    return None


def _refusal_difference(title: str, theirs: str | None, ours: Answer) -> str | None:
    said: Any = ours.json
    if set(said) != {"error_code", "message"} or "Traceback" in ours.body.decode():
        return "not the form of an error"
    if theirs is None or title in OTHER_CODES:
        return None
    code = json.loads(theirs)["error_code"]
    return None if code == said["error_code"] else f"{said['error_code']} is not {code}"


def _same(theirs: Any, ours: Any) -> bool:
    """Whether two JSON values are the same, types included, numbers within a float32's reach."""
    if isinstance(theirs, float) and isinstance(ours, float):
        return math.isclose(theirs, ours, rel_tol=1e-6) or (theirs != theirs and ours != ours)
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(_same, theirs, ours))
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return theirs.keys() == ours.keys() and all(_same(theirs[k], ours[k]) for k in theirs)
    return type(theirs) is type(ours) and bool(theirs == ours)


def test_both_servers_say_alike_that_they_are_well(scored: Path, doors: Mapping[str, Ask]) -> None:
    theirs = json.loads((scored / "answers.json").read_text())["codes"]
    for path in PATHS[1:]:
        ours = doors["codes"](path)
        assert [ours.status, ours.headers["content-type"], ours.body.decode()] == theirs[path]


def test_mlflows_own_client_is_answered(
    serve: Serve, iris_bundle: Path, iris_training: Path, tmp_path: Path
) -> None:
    service = serve(iris_bundle, "--workers", "1")
    lines = (iris_training / "training.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([lines[0], lines[1], lines[60], lines[140]]))
    rows = tmp_path / "rows.csv"
    _drop_last_column(rows)
    host, port = service.url.removeprefix("http://").split(":")
    done = subprocess.run(
        [sys.executable, CLIENT, host, port, rows], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "sepal_length" in said.pop("refused").replace(" ", "_")
    assert said.pop("version") == "3.17.2"
    assert set(said) == {"frame", "array", "text", "with params"}
    assert all(predictions == [0, 1, 2] for predictions in said.values()), said


def _drop_last_column(path: Path) -> None:
    """Without the column that is predicted."""
    lines = path.read_text().splitlines()
    path.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))


def test_nothing_that_a_client_sends_is_a_fault_of_ours(tmp_path: Path) -> None:
    flower = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    bodies: list[object] = [
        *({form: rows} for form in ("instances", "inputs") for rows in ([[5, 2.2]], FLOWER_ROWS)),
        {"dataframe_split": {"index": [0], "columns": ["petal_width", "x"], "data": [[1, 2]]}},
        {"dataframe_records": FLOWER_ROWS, "params": {"a": 1}},
        {"instances": [{"features": [5, 2.2]}]},
        {"inputs": {"sepal_length": [5], "petal_width": [math.nan]}},
        {"prompt": "x"},
        FLOWER_ROWS[0],
    ]
    for folder in (flower, tensor_bundle(tmp_path / "tensor")):
        plane, rest = plane_of([loaded(folder, folder.name)]), RestSettings(max_json_depth=20)
        routes = invocations.routes(plane, rest)
        app = door_app(plane, rest, routes, dict.fromkeys(PATHS, invocations.refusal))
        statuses: Counter[int] = Counter()
        for sent, answer in answers_to(
            app, ["/invocations", "/invocations", "/ping"], bodies, N_REQUESTS
        ):
            statuses[answer.status] += 1
            assert answer.status < 500, sent
            if answer.content_type == b"text/plain; charset=utf-8":
                assert answer.status == 415, sent
            elif answer.status >= 400 and not sent.path.startswith(("/invocations/", "/ping/")):
                assert set(json.loads(answer.body)) == {"error_code", "message"}, sent
        print(dict(statuses))
        assert statuses[200] > N_REQUESTS / 100
        assert statuses[400] > N_REQUESTS / 10
        assert statuses[415] > N_REQUESTS / 100
