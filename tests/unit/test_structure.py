"""The size of things: what has grown too large is two things under one name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "modelway").rglob("*.py"))
LONGEST_MODULE = 600
LONGEST_RUNTIME = 150
LONGEST_FUNCTION = 50
MOST_ARGUMENTS = 7


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_module_holds_one_thing_and_says_what(path: Path) -> None:
    text = path.read_text()
    limit = LONGEST_RUNTIME if "runtimes" in path.parts else LONGEST_MODULE
    assert len(text.splitlines()) <= limit
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_functions_are_short_and_public_ones_are_explained(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        end = node.end_lineno or node.lineno
        where = f"{path.name}:{node.lineno} {node.name}"
        assert end - node.lineno < LONGEST_FUNCTION, where


def test_constructors_take_few_arguments() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                arguments = len(node.args.args) + len(node.args.kwonlyargs) - 1
                assert arguments <= MOST_ARGUMENTS, f"{path.name}:{node.lineno}"
