"""Registering: a model that can be served, as a version with its origin, linked to its bundle.

It is carried out where the files are, against a store and a registry that may be elsewhere: over
the network no model is taken, and no administration is told of a path on its own disk.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelway.bundles.mlflow_folder import MLMODEL
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.control import Control, now
from modelway.composition.model_operations import SHOW_VERSION, OfVersion, ShownVersion
from modelway.composition.operations import Operation
from modelway.domain.errors import InvalidInput, MissingExtra
from modelway.domain.names import alias_of
from modelway.domain.references import check_model_name
from modelway.lineage.beside import find_origin, has_pointer
from modelway.lineage.model_folder import write_model
from modelway.lineage.origin import PREFIX, Origin

Say = Callable[[str], object]

DIGEST = f"{PREFIX}digest"
METRIC = f"{PREFIX}metric."
ACTOR = f"{PREFIX}registered_by"

_KEY = re.compile(r"[\w./ :-]{1,250}", re.ASCII)
_LONGEST_VALUE = 5000


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registration: which model, of which source, and what is known of its training.

    ``run`` is the run that trained it; without one the registry makes one for the files.
    ``labels`` are separated by commas. ``allow_pickle`` False refuses a source that is one.
    """

    name: str
    source: str
    data: str | None = None
    target: str | None = None
    signature: str | None = None
    code: str | None = None
    labels: str | None = None
    run: str | None = None
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    allow_pickle: bool = True


def registering(say: Say) -> Operation[Register]:
    """The operation that registers; ``say`` is given lines for the person who asked.

    Raises:
        InvalidName: no model may be called so.
        InvalidInput: a tag or a metric cannot be one.
        RunNotFound: there is no such run.
        RegistryUnavailable: the registry cannot be reached; the bundle is kept for the next time.
        ModelwayError: the source cannot be bundled; nothing is registered.
    """

    def carry_out(control: Control, asked: Register, actor: str) -> ShownVersion:
        return _Registering(control, asked, say).version(actor)

    return Operation("POST", "/registry/{name}/versions", Register, carry_out, "model.register")


REGISTER = registering(lambda _: None)


@dataclass(frozen=True, slots=True)
class _Registering:
    control: Control
    asked: Register
    say: Say

    def version(self, actor: str) -> ShownVersion:
        """The new version, bundled first."""
        asked, registry = self.asked, self.control.registry
        check_model_name(asked.name)
        given = _given_tags(asked)
        if asked.run is not None:
            registry.run(asked.run)
        bundle = self._bundle()
        origin = self._origin()
        tags = {**origin.tags(), **given, DIGEST: bundle.digest, ACTOR: actor}
        self.say(f"Bundled as {bundle.digest}; registering {asked.name} at {registry.url} ...")
        home = self.control.home.path / "registering"
        home.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=home))
        try:
            files = self._files(bundle, folder)
            made = registry.register(asked.name, files, asked.run, tags)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.control.store.links.link(made.name, made.version, bundle.digest, None)
        if asked.run is None and made.run_id is not None:  # a given run has metrics of its own
            registry.log_metrics(made.run_id, asked.metrics)
        self.say(f"{made.name}:{made.version} is registered")
        of = OfVersion(made.name, made.version)
        shown: ShownVersion = SHOW_VERSION.carry_out(self.control, of, actor)
        return shown

    def _bundle(self) -> Bundle:
        asked, settings = self.asked, self.control.settings
        if not asked.allow_pickle:
            settings = settings.without_pickles()
        data = _path(asked.data)
        if data is not None and not data.exists() and has_pointer(data):
            self.say(f"{data} is not here, only its DVC pointer: the bundle knows no training data")
            data = None
        request = BuildRequest(
            source=asked.source,
            name=alias_of(asked.name, 0),
            data=data,
            target=asked.target if data is not None or asked.data is None else None,
            signature=_path(asked.signature),
            code=_path(asked.code),
            labels=asked.labels,
            metrics=asked.metrics,
        )
        return open_bundle(cached(request, settings, self.say))

    def _origin(self) -> Origin:
        head, _, _ = self.asked.source.rpartition(":")
        source = Path(head if head.endswith(".py") else self.asked.source)
        return find_origin(source, _path(self.asked.data), _read_yaml, self.say)

    def _files(self, bundle: Bundle, folder: Path) -> Path:
        """The folder of the MLflow model: the source if it is one, else one that is written."""
        source = Path(self.asked.source)
        if not (source / MLMODEL).is_file():
            write_model(bundle, folder, now())
            return folder
        asked = self.asked
        apart = {"--data": asked.data, "--signature": asked.signature, "--code": asked.code}
        lost = [option for option, value in {**apart, "--labels": asked.labels}.items() if value]
        if lost:
            self.say(
                f"{source} is registered as it is: what {', '.join(lost)} says is in the bundle "
                "here, and not in one that another host builds from the registry"
            )
        return source


def _given_tags(asked: Register) -> Mapping[str, str]:
    """The tags and metrics that were given, as tags. Raises InvalidInput."""
    tags = dict(asked.tags)
    for name in tags:
        if name.startswith(PREFIX):
            raise InvalidInput(f"the tag {name!r} is Modelway's own", hint="choose another name")
    for name, value in asked.metrics.items():
        if not math.isfinite(value):
            raise InvalidInput(f"the metric {name!r} is {value}; expected a finite number")
        tags[METRIC + name] = repr(value)
    for name, text in tags.items():
        if not _KEY.fullmatch(name):
            raise InvalidInput(
                f"{name.removeprefix(METRIC)[:250]!r} is no name of a tag or metric: expected up "
                "to 250 letters, digits, '_', '.', '-', '/', ':' and spaces"
            )
        if len(text) > _LONGEST_VALUE:
            raise InvalidInput(
                f"the tag {name!r} has {len(text)} characters; at most {_LONGEST_VALUE} are kept"
            )
    return tags


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _read_yaml(content: bytes) -> object:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "mlflow", "a DVC pointer") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise InvalidInput(f"it is not YAML: {error}") from error
