"""The examples, run as their README says: trained by one file, served by another."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

from support.live import ROOT, Serve, Service

BUILT_S = 240.0
"""Seconds in which a forest on text is compiled and proven, on a machine that has more to do."""

PATH = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def copy_of(name: str, tmp_path: Path) -> Path:
    """The example in a folder of the test's own."""
    left_out = shutil.ignore_patterns("model.*", "training.csv", "__pycache__")
    return Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name, ignore=left_out))


def train(folder: Path, *arguments: str | Path) -> None:
    words = [sys.executable, "train.py", *(str(word) for word in arguments)]
    subprocess.run(words, cwd=folder, check=True, timeout=240)


def queries(folder: Path) -> list[str]:
    """Paths of the GET requests that the README shows."""
    text = (folder / "README.md").read_text()
    found = re.findall(r"^curl '?http://127\.0\.0\.1:8080([^\s']*)", text, re.MULTILINE)
    return [path for path in found if "?" in path or path.count("/") > 1]


def runtime(service: Service, name: str) -> str:
    described: Any = service.ask(f"/models/{name}").json
    return str(described["runtime"])


def test_iris(tmp_path: Path, serve: Serve, iris_home: Path) -> None:
    folder = copy_of("iris", tmp_path)
    train(folder)
    # Its model is that of the demo, byte for byte, so a home that has built the one has the other.
    service = serve(command=("./serve.sh",), folder=folder, home=iris_home, environment=PATH)
    (query,) = queries(folder)
    answer: Any = service.ask(query).json
    assert (answer["prediction"], answer["label"]) == (2, "virginica")
    assert runtime(service, "iris") == "onnx"


@pytest.mark.parametrize("custom", [False, True])
def test_loan(tmp_path: Path, serve: Serve, data_folder: Path, custom: bool) -> None:
    folder = copy_of("loan", tmp_path)
    train(folder, (data_folder / "loan" / "train.csv").resolve(), *["--custom"] * custom)
    code = ("--code", "features.py") if custom else ()
    service = serve(
        *code, command=("./serve.sh",), folder=folder, environment=PATH, ready_s=BUILT_S
    )
    text = (folder / "README.md").read_text()
    body = re.search(r"-d '(\{.*?\})'", text, re.DOTALL)
    assert body is not None
    answer = service.ask(
        "/predict", body=body[1].encode(), headers={"content-type": "application/json"}
    )
    assert answer.status == 200, answer.body
    said: Any = answer.json
    assert said["prediction"] in ("Y", "N")
    assert set(said["probabilities"]) == {"Y", "N"}
    assert runtime(service, "loan") == ("sklearn" if custom else "onnx")


def test_defects(tmp_path: Path, serve: Serve, data_folder: Path) -> None:
    folder = copy_of("defects", tmp_path)
    train(folder, (data_folder / "defects" / "jm1.csv").resolve())
    service = serve(command=("./serve.sh",), folder=folder, environment=PATH)
    (path,) = queries(folder)
    first = service.ask(path)
    assert first.json == {"Defect": 1}
    assert first.headers["modelway-endpoint"] == "defects"
    model = joblib.load(folder / "model.joblib")
    modules = pd.DataFrame(product((2, 3.5, 24, 65, 300), (1, 4, 12)), columns=["loc", "mcc"])
    expected = model.predict(modules).tolist()
    assert set(expected) == {0, 1}
    for (loc, mcc), defect in zip(modules.itertuples(index=False), expected, strict=True):
        assert service.ask(f"/predict/{loc}/{mcc}").json == {"Defect": defect}
    wrong = service.ask("/predict/many/12")
    assert wrong.status == 422
    assert b"loc" in wrong.body


def test_rule(tmp_path: Path, serve: Serve) -> None:
    folder = copy_of("rule", tmp_path)
    service = serve(command=("./serve.sh",), folder=folder, environment=PATH)
    (query,) = queries(folder)
    answer: Any = service.ask(query).json
    assert answer["prediction"] is True
    calm: Any = service.ask(query.replace("activity_ratio=2.5", "activity_ratio=1.0")).json
    assert calm["prediction"] is False


@pytest.mark.parametrize("name", ["iris", "loan", "defects"])
def test_the_training_line_of_the_readme_works(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "tests" / "twins", tmp_path / "tests" / "twins")
    (tmp_path / "examples").mkdir()
    folder = copy_of(name, tmp_path / "examples")
    text = (folder / "README.md").read_text()
    (line,) = re.findall(r"^(python train\.py.*?) +#", text, re.MULTILINE)
    subprocess.run(
        ["bash", "-c", line], cwd=folder, check=True, timeout=240, env={**os.environ, **PATH}
    )
    assert (folder / "training.csv").exists()


@pytest.mark.parametrize("name", ["iris", "loan", "defects", "rule"])
def test_each_serve_script_is_one_modelway_command(name: str) -> None:
    script = (ROOT / "examples" / name / "serve.sh").read_text()
    (line,) = re.findall(r"^exec ([^\\\n]*(?:\\\n[^\\\n]*)*)$", script, re.MULTILINE)
    words = shlex.split(line)
    assert words[:2] == ["modelway", "serve"]
    assert words[-1] == "$@"
