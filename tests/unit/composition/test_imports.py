"""What a process that only directs others does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    ["modelway.composition.serving", "modelway.composition.fleet", "modelway.rest.admin"],
)
def test_a_supervisor_needs_nothing_of_what_answers(module: str) -> None:
    unwanted = {"numpy", "onnxruntime", "sqlalchemy", "modelway.backends.mlflow_rest"}
    code = f"import sys, {module}; print(sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
