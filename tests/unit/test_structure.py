"""The size of things: what has grown too large is two things under one name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "modelway").rglob("*.py"))
LONGEST_MODULE = 600
LONGEST_RUNTIME = 150
LONGEST_FUNCTION = 50
LONGEST_CLASS = 300
MOST_METHODS = 7
MOST_ARGUMENTS = 7


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_module_holds_one_thing_and_says_what(path: Path) -> None:
    text = path.read_text()
    limit = LONGEST_RUNTIME if "runtimes" in path.parts else LONGEST_MODULE
    assert len(text.splitlines()) <= limit
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_functions_are_short_and_public_ones_are_explained(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        end = node.end_lineno or node.lineno
        where = f"{path.name}:{node.lineno} {node.name}"
        assert end - node.lineno < LONGEST_FUNCTION, where
        if not node.name.startswith("_") and _is_explained(node, tree):
            assert ast.get_docstring(node), where


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_classes_are_short_and_ports_are_small(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef):
            continue
        end = node.end_lineno or node.lineno
        where = f"{path.name}:{node.lineno} {node.name}"
        assert end - node.lineno < LONGEST_CLASS, where
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            assert len(methods) <= MOST_METHODS, where


def _is_explained(node: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> bool:
    """Whether others call it: a function of a module, or of a public class; no overload."""
    if any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list):
        return False
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
    public = [one for one in classes if not one.name.startswith("_")]
    return node in tree.body or any(node in one.body for one in public)


def test_constructors_take_few_arguments() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                arguments = len(node.args.args) + len(node.args.kwonlyargs) - 1
                assert arguments <= MOST_ARGUMENTS, f"{path.name}:{node.lineno}"
