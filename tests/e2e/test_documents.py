"""What the documents show is true: the tutorial is followed word for word."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from modelway.cli.main import cli
from support.clients import client_python
from support.documents import blocks, commands, documents
from support.live import MODELWAY, ROOT, Serve, absent

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
SHELL_LINE = [
    pytest.param(line, id=f"{path.stem}: {line[:60]}")
    for path in documents()
    for language, text in blocks(path)
    if not language
    for line in commands(text)
    if line.startswith("modelway ")
]


@pytest.mark.parametrize("line", SHELL_LINE)
def test_every_command_that_is_shown_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"there is no {words[0]}"
        command, words = found, words[1:]
    command.make_context("modelway", words)


def test_links_between_documents_lead_somewhere() -> None:
    for path in documents():
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_tutorial_works_as_it_is_written(tmp_path: Path, serve: Serve) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    service, answer = None, ""
    for language, text in blocks(ROOT / "docs" / "tutorials" / "first-service.md"):
        if language == "json":
            assert_holds(json.loads(answer), json.loads(text))
            continue
        for line in commands(text):
            if line.startswith("pip install"):
                continue
            if line.startswith("modelway serve"):
                service = serve(*shlex.split(line)[2:], folder=tmp_path)
                continue
            if service is not None:
                line = line.replace("http://127.0.0.1:8080", service.url)
            done = subprocess.run(
                ["bash", "-c", line.replace("curl ", "curl -sS ")],
                cwd=tmp_path,
                env={**os.environ, "PATH": PATH},
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            answer = done.stdout
    assert (tmp_path / "scored.csv").read_text().count("\n") == 151


def test_the_readme_shows_what_the_demo_prints(iris_home: Path, serve: Serve) -> None:
    service = serve(command=(*MODELWAY, "demo"), home=iris_home)
    said = service.log.read_text().replace(service.url, "http://127.0.0.1:8080")
    shown = [t for language, t in blocks(ROOT / "README.md") if not language and "Try:" in t]
    assert len(shown) == 1
    for line in shown[0].splitlines():
        assert line in said


def test_the_notebook_lines_of_the_readme_work(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    X, y = load_iris(as_frame=True, return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    monkeypatch.chdir(tmp_path)
    ((_, text),) = [b for b in blocks(ROOT / "README.md") if b[0] == "python"]
    *making, asking = text.strip().splitlines()
    names: dict[str, Any] = {"model": model, "X": X}
    exec("\n".join(making), names)  # the README's own lines
    url = serve(tmp_path / "iris-bundle").url
    found = eval(asking.replace("http://127.0.0.1:8080", url), names)
    assert found["prediction"].tolist() == model.predict(X).tolist()
    assert found.index.equals(X.index)


def test_make_demo_works_with_the_sklearn_extra_alone(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns(".*", "__pycache__", "bench", "docs", "tests")
    folder = shutil.copytree(ROOT, tmp_path / "modelway", ignore=left_out)
    made = subprocess.run(
        ["make", ".venv-demo/installed"], cwd=folder, capture_output=True, text=True, timeout=240
    )
    if made.returncode:
        absent(f"the locked packages cannot be installed: {made.stderr[-300:]}")
    names = {path.name.split("-")[0] for path in folder.glob(".venv-demo/lib/*/site-packages/*")}
    assert "sklearn" in names
    assert names.isdisjoint({"pyarrow", "xgboost", "lightgbm", "mlflow", "pytest", "skl2onnx"})
    done = subprocess.run(
        ["make", "demo", "DEMO_FLAGS=--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("as expected") == 2


def assert_holds(found: Any, shown: Any) -> None:
    """``found`` has what is shown; ``"..."`` stands for what is not."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            if key != "...":
                assert_holds(found[key], value)
    elif isinstance(shown, list):
        assert len(found) == len(shown)
        for one, other in zip(found, shown, strict=True):
            assert_holds(one, other)
    elif isinstance(shown, float):
        assert found == pytest.approx(shown, abs=0.01)
    else:
        assert found == shown


def test_a_client_of_another_server_works_as_it_is_shown(serve: Serve, iris_bundle: Path) -> None:
    service = serve(iris_bundle)
    path = ROOT / "docs" / "how-to" / "use-clients-of-other-servers.md"
    (shown,) = [text for language, text in blocks(path) if language == "python"]
    script = shown.replace("127.0.0.1:8080", service.url.removeprefix("http://"))
    done = subprocess.run(
        [client_python("tritonclient"), "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "2" in done.stdout


def test_a_file_is_scored_as_it_is_shown(tmp_path: Path) -> None:
    path = ROOT / "docs" / "how-to" / "score-a-file.md"
    said = ""
    for language, text in list(blocks(path))[:6]:
        if language == "text":
            assert said.startswith("150 rows scored in ")
            assert said.endswith(text.rsplit(" to ")[-1])
        elif language == "json":
            assert_holds(json.loads(said), json.loads(text))
        else:
            for line in commands(text):
                done = subprocess.run(
                    ["bash", "-c", line],
                    cwd=tmp_path,
                    env={**os.environ, "PATH": PATH},
                    capture_output=True,
                    text=True,
                    timeout=240,
                )
                assert done.returncode == (11 if "--max-errors" in line else 0), done.stderr
                said = done.stdout
