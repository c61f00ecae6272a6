"""The user's own code that a model needs: how it comes into a bundle, and how a pickle finds it.

A class that was defined in a training script is stored by the pickle as one of ``__main__``. Such a
name is looked for in the bundle's modules, and what it needs of the one that has it is run
(``bundles/script.py``), so that opening a model does not train it again.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from modelway.bundles.confined import confined
from modelway.bundles.digest import file_sha256
from modelway.bundles.manifest import CODE, MANIFEST
from modelway.bundles.script import Script
from modelway.domain.errors import InvalidSource, LoadFailed, SourceNotFound

_offered: list[Path] = []
_scripts: dict[Path, Script] = {}

_OF_CODE = ("python_function", "mlflow")
"""Frameworks whose models are code to begin with."""

_NO_CODE = ("pyvenv.cfg", "conda-meta", MANIFEST, "MLmodel")
"""What a folder has that is a virtual environment, a bundle or an MLflow model."""

_LEFT_OUT = (".pyc", ".pyo", ".pem", ".key", ".p12", ".pfx")


def copy_code(source: Path, folder: Path, *, leave_out: Iterable[Path | None] = ()) -> None:
    """Copy the file, or the code in the folder ``source``, into ``folder``.

    A package (a folder with ``__init__.py``) keeps its own name.

    Raises:
        SourceNotFound: there is nothing at ``source``.
        InvalidSource: a link in it leads outside.
    """
    is_package = (source / "__init__.py").is_file()
    inside = folder / source.resolve().name if is_package else folder
    for path, name in code_files(source, leave_out):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inside / name)


def code_sha256(source: Path, *, leave_out: Iterable[Path | None] = ()) -> str:
    """The SHA-256 over what ``copy_code`` would copy, as 64 hexadecimal digits.

    Raises:
        SourceNotFound: there is nothing at ``source``.
        InvalidSource: a link in it leads outside.
    """
    lines = [f"{file_sha256(path)}  {name}\n" for path, name in code_files(source, leave_out)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def code_files(source: Path, leave_out: Iterable[Path | None]) -> list[tuple[Path, str]]:
    """The files that are code or belong to it, and their names below ``source``.

    Of a folder these are its Python files, and what lies beside a Python file or anywhere in a
    package. Out stay what is hidden or compiled, private keys, virtual environments, bundles and
    MLflow models, and the paths to ``leave_out``: the model itself and its training data.

    Raises:
        SourceNotFound: there is nothing at ``source``.
        InvalidSource: a link in it leads outside.
    """
    if source.is_file():
        return [(source, source.name)]
    if not source.is_dir():
        raise SourceNotFound(str(source))
    apart = {path.resolve() for path in leave_out if path is not None and path.suffix != ".py"}
    found = []
    for path in _below(source, apart, in_package=False):
        name = path.relative_to(source).as_posix()
        if confined(source, name) is None:
            raise InvalidSource(
                f"{path} is a link that leads out of {source}",
                hint="put the file itself there, or name its folder with --code",
            )
        found.append((path, name))
    return found


def _below(folder: Path, apart: Collection[Path], *, in_package: bool) -> Iterator[Path]:
    entries = sorted(folder.iterdir())
    in_package = in_package or (folder / "__init__.py").is_file()
    belongs = in_package or any(path.suffix == ".py" for path in entries)
    for path in entries:
        if path.name.startswith(".") or path.name == "__pycache__" or path.resolve() in apart:
            continue
        if path.is_dir():
            if not path.is_symlink() and not any((path / sign).exists() for sign in _NO_CODE):
                yield from _below(path, apart, in_package=in_package)
        elif path.suffix == ".py" or (belongs and path.suffix not in _LEFT_OUT):
            yield path


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
            script = _scripts.get(path) or _scripts.setdefault(path, Script(path))
            if script.has(name):
                found = script.value(name)
                setattr(sys.modules["__main__"], name, found)
                return found
    raise AttributeError(f"module '__main__' has no attribute {name!r}")


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))
