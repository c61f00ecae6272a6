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
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from modelway.bundles.mlflow_folder import MLMODEL
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.control import Control, now
from modelway.composition.model_operations import SHOW_VERSION, OfVersion, ShownVersion
from modelway.composition.operations import Operation
from modelway.composition.registered import source_in
from modelway.domain.errors import InvalidInput, MissingExtra
from modelway.domain.names import alias_of
from modelway.domain.references import RunReference, check_model_name, parse_reference
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

    ``source`` is a file or folder here, or ``runs:/RUN/path``: what a run has logged, registered
    where it lies. ``run`` is the run that trained it; without one the registry makes one for the
    files.
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
        run = _run_source(asked)
        if asked.run is not None:
            registry.run(asked.run)
        home = self.control.home.path / "registering"
        home.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=home))
        try:
            bundle = self._bundle() if run is None else self._bundle_of(run, folder)
            tags = {**self._origin(run).tags(), **given, DIGEST: bundle.digest, ACTOR: actor}
            self.say(f"Bundled as {bundle.digest}; registering {asked.name} at {registry.url} ...")
            if run is None:
                files = self._files(bundle, folder)
                made = registry.register(asked.name, files, asked.run, tags)
            else:
                made = registry.register_run(asked.name, run, tags)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.control.registered.share(bundle.digest)
        links = self.control.store.links
        links.restore(made.name, made.version)  # a number that a deleted model's version had
        links.link(made.name, made.version, bundle.digest, None)
        is_own = asked.run is None and run is None  # a run that trained it has metrics of its own
        if is_own and made.run_id is not None:
            registry.log_metrics(made.run_id, asked.metrics)
        self.say(f"{made.name}:{made.version} is registered")
        of = OfVersion(made.name, made.version)
        shown: ShownVersion = SHOW_VERSION.carry_out(self.control, of, actor)
        return shown

    def _bundle(self) -> Bundle:
        settings = self.control.settings
        if not self.asked.allow_pickle:
            settings = settings.without_pickles()
        return open_bundle(cached(self._request(self.asked.source), settings, self.say))

    def _bundle_of(self, run: RunReference, folder: Path) -> Bundle:
        """The bundle of what a run has logged; a pickle only of a registry that is trusted."""
        files = folder / "logged"
        self.control.registry.fetch_run(run, files)
        request = self._request(str(source_in(files)))
        self._say_what_stays_here(str(run))
        if self.asked.allow_pickle:
            return self.control.registered.built(str(run), request, self.say)
        return open_bundle(cached(request, self.control.settings.without_pickles(), self.say))

    def _request(self, source: str) -> BuildRequest:
        asked = self.asked
        data = _path(asked.data)
        if data is not None and not data.exists() and has_pointer(data):
            self.say(f"{data} is not here, only its DVC pointer: the bundle knows no training data")
            data = None
        return BuildRequest(
            source=source,
            name=alias_of(asked.name, 0),
            data=data,
            target=asked.target if data is not None or asked.data is None else None,
            signature=_path(asked.signature),
            code=_path(asked.code),
            labels=asked.labels,
            metrics=asked.metrics,
        )

    def _origin(self, run: RunReference | None) -> Origin:
        """Where it comes from; what a run has logged comes from where the run says itself."""
        data = _path(self.asked.data)
        if run is None:
            head, _, _ = self.asked.source.rpartition(":")
            source = Path(head if head.endswith(".py") else self.asked.source)
            return find_origin(source, data, _read_yaml, self.say)
        if data is None:
            return Origin()
        found = find_origin(data, data, _read_yaml, self.say)
        return replace(found, code=None, data_code=found.code, lock=None, lock_sha256=None)

    def _files(self, bundle: Bundle, folder: Path) -> Path:
        """The folder of the MLflow model: the source if it is one, else one that is written."""
        source = Path(self.asked.source)
        if not (source / MLMODEL).is_file():
            write_model(bundle, folder, now())
            return folder
        self._say_what_stays_here(str(source))
        return source

    def _say_what_stays_here(self, source: str) -> None:
        asked = self.asked
        apart = {"--data": asked.data, "--signature": asked.signature, "--code": asked.code}
        lost = [option for option, value in {**apart, "--labels": asked.labels}.items() if value]
        if lost:
            self.say(
                f"{source} is registered as it is: what {', '.join(lost)} says is in the bundle "
                "here, and not in one that another host builds from the registry"
            )


def _run_source(asked: Register) -> RunReference | None:
    """What a run has logged, if that is the source.

    Raises:
        InvalidName: it looks like it and is not.
        InvalidInput: another run is named beside it.
    """
    found = parse_reference(asked.source) if asked.source.startswith("runs:/") else None
    if not isinstance(found, RunReference):
        return None
    if asked.run not in (None, found.run_id):
        raise InvalidInput(
            f"{asked.source} is of the run {found.run_id}, and not of {asked.run}",
            hint="leave --run out",
        )
    return found


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
