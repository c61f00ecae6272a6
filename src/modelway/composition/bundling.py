"""Bundles made on demand: what was asked for becomes an order, a child process builds it.

This process never reads a model; it knows a source by its bytes.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

import modelway
from modelway.bundles.cache import Cache, key_of
from modelway.bundles.code import code_files, code_sha256
from modelway.bundles.digest import file_sha256
from modelway.bundles.mlflow_folder import MLMODEL
from modelway.bundles.order import BuildOrder
from modelway.bundles.signature_file import read_signature_file
from modelway.bundles.sources import Source, read_source
from modelway.bundles.store import Bundle, open_bundle
from modelway.bundles.trust import check_allowed, pickle_notice
from modelway.composition.build_child import Answer, encode_order, error_of
from modelway.composition.interpreters import (
    Interpreter,
    interpreter_of,
    own_interpreter,
    run_child,
)
from modelway.composition.leaving import left
from modelway.domain.errors import (
    BuildFailed,
    InvalidInput,
    InvalidSource,
    MissingExtra,
    SourceNotFound,
    TargetExists,
)
from modelway.domain.names import check_name
from modelway.domain.stopping import Limit
from modelway.settings import Settings

Say = Callable[[str], object]

_LONGEST_S = 3600.0
"""No build that gets on takes so long; one that hangs would keep all that waits for it for ever."""

_LAST_LINES = 20
_LONGEST_S = 3600.0
"""No build that gets on takes so long; one that hangs would hold up for ever what waits for it."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A bundle that somebody wants, as a command line says it.

    ``python`` is a virtual environment, ``labels`` are separated by commas.
    """

    source: str
    name: str | None = None
    data: Path | None = None
    target: str | None = None
    signature: Path | None = None
    code: Path | None = None
    labels: str | None = None
    python: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    require_compiled: bool = False


def build(request: BuildRequest, output: Path, settings: Settings, say: Say) -> Bundle:
    """The bundle, built into the folder ``output``, which is not there yet or empty.

    ``say`` is given lines for the person who asked.

    Raises:
        TargetExists: something is in ``output``.
        InvalidInput: nothing can be written there.
        UnsafeFormat: the source is a pickle, and those are not allowed.
        ModelwayError: the source, the data or the signature cannot be read, or the build failed.
    """
    _check_free(output)
    order = order_of(request, allow_pickle=settings.bundles.allow_pickle)
    interpreter = _interpreter(request)
    _warn_of_pickle(order.source, say)
    return build_to(output, order, interpreter, say)


def cached(request: BuildRequest, settings: Settings, say: Say) -> Path:
    """The folder of the bundle, in the home; built only if it was not built before.

    Raises:
        UnsafeFormat: the source is a pickle, and those are not allowed.
        BadValue: nothing can be written into the home.
        ModelwayError: the source, the data or the signature cannot be read, or the build failed.
    """
    order = order_of(request, allow_pickle=settings.bundles.allow_pickle)
    interpreter = _interpreter(request)
    cache = Cache(settings.bundles.home)
    key = key_of(_parts(order, interpreter))
    found = cache.find(key)
    if found is None:
        _warn_of_pickle(order.source, say)
        say(f"Building {order.name} from {order.source.given} ...")
        found = build_into(cache, key, order, interpreter, say)
    elif not found.manifest.is_compiled:
        _warn_of_pickle(order.source, say)
    return found.folder


def build_to(output: Path, order: BuildOrder, interpreter: Interpreter, say: Say) -> Bundle:
    """The bundle of the order, built beside ``output`` and put there when it is whole.

    Raises:
        TargetExists: something is in ``output``.
        InvalidInput: nothing can be written there.
        ModelwayError: the build failed; nothing is left of it.
    """
    _check_free(output)
    place = output.absolute()
    folder = place.parent / f".{place.name}.{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InvalidInput(
            f"{output} cannot be written: {error.strerror}", hint="name another folder with -o"
        ) from error
    try:
        _run(replace(order, folder=folder), interpreter, say)
        open_bundle(folder)
        if place.exists():
            place.rmdir()
        folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return open_bundle(output)


def build_into(
    cache: Cache, key: str | None, order: BuildOrder, interpreter: Interpreter, say: Say
) -> Bundle:
    """The bundle of the order, built into its place in the home.

    Raises:
        ModelwayError: the build failed.
    """
    with cache.fresh() as folder:
        _run(replace(order, folder=folder), interpreter, say)
        return cache.keep(folder, key)


def order_of(request: BuildRequest, *, allow_pickle: bool) -> BuildOrder:
    """The request as an order without a folder, everything in it checked that can be without
    reading the model.

    Raises:
        SourceNotFound: a file that it names is not there.
        InvalidInput: something in it cannot be understood, or a target has no data.
        UnsafeFormat: the source is a pickle, and those are not allowed.
    """
    if request.target is not None and request.data is None:
        raise InvalidInput(
            f"the target {request.target!r} is a column of training data, and none is given",
            hint="give it with --data",
        )
    source = read_source(request.source, _read_yaml)
    check_allowed(source, allow_pickle=allow_pickle)
    for path in (request.data, request.code):
        if path is not None and not path.exists():
            raise SourceNotFound(str(path))
    return BuildOrder(
        source=source,
        folder=Path(),
        name=check_name(source.name if request.name is None else request.name),
        data=request.data,
        target=request.target,
        signature=read_signature_file(request.signature) if request.signature else None,
        code=request.code,
        labels=tuple(one.strip() for one in request.labels.split(",")) if request.labels else (),
        metrics=request.metrics,
        require_compiled=request.require_compiled,
    )


def _check_free(output: Path) -> None:
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise TargetExists(f"{output} is there already", hint="name another folder with -o")


def _run(order: BuildOrder, interpreter: Interpreter, say: Say) -> None:
    """Build in a child process; what it has to say is said here."""
    _say_code(order, say)
    done = run_child(interpreter, encode_order(order), Limit(_LONGEST_S, left()))
    try:
        answer = msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.MsgspecError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise BuildFailed(
            "\n".join([f"the process that builds ended with {done.returncode}", *last])
        ) from None
    if answer.failure is not None:
        raise error_of(answer.failure)
    for note in answer.notes:
        say(note)


def _say_code(order: BuildOrder, say: Say) -> None:
    """Say what goes into the bundle as code, so that nobody ships more than they meant to."""
    code = order.code or order.source.code
    if code is not None:
        files = [path for path, _ in code_files(code, (order.source.path, order.data))]
        size_kb = sum(path.stat().st_size for path in files) / 1000
        say(f"Code of {code}: {len(files)} files, {size_kb:,.1f} kB")


def _interpreter(request: BuildRequest) -> Interpreter:
    return own_interpreter() if request.python is None else interpreter_of(request.python)


def _warn_of_pickle(source: Source, say: Say) -> None:
    if source.is_pickle:
        say(pickle_notice(source, source.sha256()))


def _read_yaml(content: bytes) -> object:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "mlflow", "an MLflow model folder") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise InvalidSource(f"{MLMODEL} is not YAML: {error}") from error


def _parts(order: BuildOrder, interpreter: Interpreter) -> dict[str, object]:
    """Everything that decides what is built, but for the name."""
    source = order.source
    code = order.code or source.code
    return {
        "source": source.sha256(),
        "format": source.format,
        "entry": source.entry,
        "logged": source.signature,
        "data": file_sha256(order.data) if order.data else None,
        "target": order.target,
        "signature": order.signature,
        "code": code_sha256(code, leave_out=(source.path, order.data)) if code else None,
        "labels": order.labels,
        "interpreter": [interpreter.command[0], dict(interpreter.libraries)],
        "modelway": code_sha256(Path(modelway.__file__).parent),
    }
