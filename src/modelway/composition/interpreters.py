"""The Python that a model is built with: our own, or that of the environment it came from."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import modelway
from modelway.bundles.trust import installed
from modelway.composition.process_groups import kill_group, reap_group
from modelway.domain.errors import InvalidInput, SourceNotFound
from modelway.domain.stopping import Limit
from modelway.settings import child_environment

LIBRARIES = (
    *("numpy", "scipy", "pandas", "scikit-learn", "xgboost", "lightgbm", "catboost"),
    *("joblib", "cloudpickle", "skops", "mlflow", "onnx", "onnxruntime", "pyarrow"),
)
"""Distributions whose version may change what is built."""

_ASK = """
import json, sys
from importlib import metadata
versions = {}
for name in json.loads(sys.argv[1]):
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps({"python": list(sys.version_info[:2]), "libraries": versions}))
"""

_RUN = """
import json, sys
sys.path += json.loads(sys.argv.pop(1))
from modelway.composition.build_child import main
main()
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python; ``libraries`` are the versions that a build with it uses."""

    command: tuple[str, ...]
    libraries: Mapping[str, str]


def own_interpreter() -> Interpreter:
    """The Python that this process runs on."""
    module = ("-m", "modelway.composition.build_child")
    return Interpreter((sys.executable, "-P", *module), installed(LIBRARIES))


def interpreter_of(environment: Path) -> Interpreter:
    """The Python of a virtual environment, given as its folder or as its ``python``.

    What it lacks, Modelway among it, it takes from our own environment; what it has wins.

    Raises:
        SourceNotFound: there is no such Python.
        InvalidInput: it cannot be run, or is another minor version of Python than this one.
    """
    python = _python_of(environment)
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _ASK, json.dumps(LIBRARIES)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        said = json.loads(done.stdout)
        version, libraries = tuple(said["python"]), said["libraries"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{python} is no Python that can be run: {error}") from error
    if version != sys.version_info[:2]:
        theirs, ours = (".".join(map(str, one)) for one in (version, sys.version_info[:2]))
        raise InvalidInput(
            f"{python} is Python {theirs}, and Modelway runs here on {ours}",
            hint=f"install modelway under Python {theirs}: its libraries are shared with the build",
        )
    places = [str(Path(modelway.__file__).parents[1])]
    places += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = (str(python), "-P", "-c", _RUN, json.dumps(list(dict.fromkeys(places))))
    return Interpreter(command, {**installed(LIBRARIES), **libraries})


def _python_of(environment: Path) -> Path:
    if environment.is_file():
        return environment
    for inside in ("bin/python", "Scripts/python.exe"):
        if (environment / inside).is_file():
            return environment / inside
    raise SourceNotFound(
        str(environment / "bin" / "python"), hint="--python takes a virtual environment"
    )


def run_child(
    interpreter: Interpreter, order: bytes, limit: Limit
) -> subprocess.CompletedProcess[bytes]:
    """The finished build; ``order`` is its standard input. What it has forked ends with it.

    Raises:
        DeadlineExceeded, Unavailable: the limit was reached, and the build is ended.
    """
    command = (*interpreter.command, str(os.getpid()))
    # Files, since a pipe has no end as long as anything that a model has started holds it.
    with TemporaryFile() as given, TemporaryFile() as said, TemporaryFile() as errors:
        given.write(order)
        given.seek(0)
        child = subprocess.Popen(
            command,
            stdin=given,
            stdout=said,
            stderr=errors,
            env=child_environment(),
            process_group=0,
        )
        try:
            with (
                contextlib.suppress(subprocess.CalledProcessError),
                limit.on("the build", partial(kill_group, child)),
            ):
                if reap_group(child) < 0:
                    raise subprocess.CalledProcessError(child.returncode, command)
        finally:
            kill_group(child)
            reap_group(child)
        said.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(command, child.returncode, said.read(), errors.read())
