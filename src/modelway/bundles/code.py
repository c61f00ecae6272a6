"""The user's own code that a model needs: how it comes into a bundle, and how a pickle finds it.

A class that was defined in a training script is stored by the pickle as one of ``__main__``. Such a
name is looked for in the bundle's modules; of the module that has it, only what the name needs is
run, so that opening a model does not train it again.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from modelway.bundles.digest import file_sha256
from modelway.bundles.manifest import CODE
from modelway.domain.errors import LoadFailed, SourceNotFound

_offered: list[Path] = []

_OF_CODE = ("python_function", "mlflow")
"""Frameworks whose models are code to begin with."""


def copy_code(source: Path, folder: Path) -> None:
    """Copy the file, or what is in the folder ``source``, into ``folder``.

    A package (a folder with ``__init__.py``) keeps its own name. Hidden files and compiled ones
    stay out.

    Raises:
        SourceNotFound: there is nothing at ``source``.
    """
    is_package = (source / "__init__.py").is_file()
    inside = folder / source.resolve().name if is_package else folder
    for path, name in _files(source):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inside / name)


def code_sha256(source: Path) -> str:
    """The SHA-256 over what ``copy_code`` would copy, as 64 hexadecimal digits.

    Raises:
        SourceNotFound: there is nothing at ``source``.
    """
    lines = [f"{file_sha256(path)}  {name}\n" for path, name in _files(source)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(source: Path) -> Iterator[tuple[Path, str]]:
    """The files that are code or belong to it, and their names below ``source``."""
    if source.is_file():
        yield source, source.name
    elif source.is_dir():
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
            if path.is_file() and not hidden and path.suffix not in (".pyc", ".pyo"):
                yield path, name.as_posix()
    else:
        raise SourceNotFound(str(source))


def use_code(bundle: Path, framework: str) -> None:
    """Let the model in a bundle's folder find its code, and run it without leaving a trace there.

    Raises:
        LoadFailed: another module of the same name, from elsewhere, is in use already.
    """
    code = bundle / CODE
    if framework in _OF_CODE or code.is_dir():
        # Compiled beside their sources, modules would change the contents, and so the digest.
        sys.dont_write_bytecode = True
    if code.is_dir():
        offer_code(code)


def offer_code(folder: Path) -> None:
    """Let pickles find the modules in ``folder``, and their names as names of ``__main__``.

    Raises:
        LoadFailed: another module of the same name, from elsewhere, is in use already.
    """
    if folder in _offered:
        return
    for module in _modules(folder):
        known = sys.modules.get(module.stem)
        origin = getattr(known, "__file__", None)
        if origin and _offered and Path(origin).parent in _offered:
            raise LoadFailed(
                f"two bundles bring a module called {module.stem!r}: {Path(origin)} and {module}",
                hint="serve them as two services",
            )
    _offered.insert(0, folder)
    sys.path.insert(0, str(folder))
    sys.modules["__main__"].__getattr__ = _attribute_of_main  # type: ignore[method-assign] # PEP 562


def _attribute_of_main(name: str) -> Any:
    for folder in _offered:
        for path in _modules(folder):
            tree = ast.parse(path.read_bytes(), str(path))
            needed = _needed(tree, name)
            if needed:
                return _run(needed, path, name)
    raise AttributeError(f"module '__main__' has no attribute {name!r}")


def _run(statements: list[ast.stmt], path: Path, name: str) -> Any:
    """The name's value after the statements ran; it stays a name of ``__main__``."""
    part = ModuleType("__main__")
    part.__file__ = str(path)
    program = compile(ast.Module(statements, type_ignores=[]), str(path), "exec")
    exec(program, vars(part))  # noqa: S102 - the user's own code, given to be run
    found = getattr(part, name)
    setattr(sys.modules["__main__"], name, found)
    return found


def _needed(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a module that ``name`` needs, in their order; none if it has no such."""
    binding: dict[str, list[ast.stmt]] = {}
    for one in tree.body:
        for bound in _bound(one):
            binding.setdefault(bound, []).append(one)
    needed: set[int] = set()
    wanted = [name]
    while wanted:
        for statement in binding.get(wanted.pop(), ()):
            if id(statement) not in needed:
                needed.add(id(statement))
                wanted += [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
    future = [
        one for one in tree.body if isinstance(one, ast.ImportFrom) and one.module == "__future__"
    ]
    chosen = [one for one in tree.body if id(one) in needed and one not in future]
    return [*future, *chosen] if chosen else []


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module gives a value to."""
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield (alias.asname or alias.name).partition(".")[0]
        case ast.If() if "__name__" in {
            n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)
        }:
            return
        case ast.Assign() | ast.AnnAssign() | ast.Try() | ast.If():
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id
                elif isinstance(node, ast.stmt) and node is not statement:
                    yield from _bound(node)


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))
