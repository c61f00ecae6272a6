"""References to what a registry holds: a model's version, by number, alias or stage; a run's file.

Source: MLflow, "Model Registry" (``models:/`` and ``runs:/`` addresses) and its own validation of
names.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from modelway.domain.errors import InvalidName

LATEST = "latest"
STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's old stages; ``latest`` stands beside them in an address."""

_LONGEST_NAME = 256
_LONGEST_ALIAS = 255
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
_VERSION = re.compile(r"[0-9]{1,18}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
_STAGES = {stage.lower(): stage for stage in (*STAGES, LATEST)}

_REFERENCES = (
    "NAME, NAME:VERSION, NAME@ALIAS, models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS "
    "or runs:/RUN/PATH"
)


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A registered model, and at most one of version, alias and stage.

    ``version`` counts from 1, without leading zeros; ``stage`` is one of ``STAGES`` or ``latest``.
    With none of the three it is up to the reader which version is meant.

    Raises:
        InvalidName: a part is not one that MLflow takes, there is more than one, or the name has an
            ``@`` and nothing behind it, which would be read as an alias.
    """

    name: str
    version: str | None = None
    alias: str | None = None
    stage: str | None = None

    def __post_init__(self) -> None:
        check_model_name(self.name)
        parts = [part for part in (self.version, self.alias, self.stage) if part is not None]
        if len(parts) > 1:
            raise InvalidName("@".join([self.name, *parts]), "one of version, alias and stage")
        if not parts and "@" in self.name:
            raise InvalidName(self.name, "a version, an alias or a stage behind a name with an '@'")
        if self.version is not None:
            object.__setattr__(self, "version", _version(self.version))
        if self.alias is not None:
            check_alias(self.alias)
        if self.stage is not None:
            object.__setattr__(self, "stage", _stage(self.stage))

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}:{self.version}"
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        if self.stage is not None:
            return f"models:/{self.name}/{self.stage}"
        return self.name


@dataclass(frozen=True, slots=True)
class RunReference:
    """What a run has logged at ``path``, which is relative, ends without a slash and has no ``..``.

    Raises:
        InvalidName: the run or the path is not one that MLflow takes.
    """

    run_id: str
    path: str

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run_id):
            raise InvalidName(
                self.run_id, "the id of a run: a letter or digit, then letters, digits, '_', '-'"
            )
        path = self.path.rstrip("/")
        if not _is_plain(path) or "\\" in path or "\0" in path:
            raise InvalidName(self.path, "a path below the run, such as model, without '..' in it")
        object.__setattr__(self, "path", path)

    def __str__(self) -> str:
        return f"runs:/{self.run_id}/{self.path}"


def parse_reference(text: str) -> ModelReference | RunReference:
    """What ``text`` refers to; ``str`` of it is its shortest form, and refers to the same.

    Raises:
        InvalidName: it is no reference; the message says what one looks like.
    """
    if text.startswith("runs:"):
        run_id, _, path = _address(text, "runs:").partition("/")
        return RunReference(run_id, path)
    if text.startswith("models:/"):
        return _model_address(text, _address(text, "models:"))
    name, colon, version = text.rpartition(":")
    if colon:
        return ModelReference(name, version=version)
    return _with_alias(text)


def check_model_name(name: str) -> str:
    """Return ``name`` if a registered model may be called so.

    Raises:
        InvalidName: it is blank, longer than 256 characters, has a ``/`` or ``:``, or is a dot or
            starts with two.
    """
    if (
        not name.strip()
        or len(name) > _LONGEST_NAME
        or any(sign in name for sign in "/:\0")
        or not _is_plain(name)
    ):
        raise InvalidName(
            name[:_LONGEST_NAME],
            f"1 to {_LONGEST_NAME} characters without '/' and ':', which may not start with '..'",
        )
    return name


def check_alias(alias: str) -> str:
    """Return ``alias`` if an alias may be called so.

    Raises:
        InvalidName: it is not 1 to 255 letters, digits, ``_`` and ``-``, or is ``latest`` or ``v``
            and digits, which are reserved.
    """
    if (
        not _ALIAS.fullmatch(alias)
        or len(alias) > _LONGEST_ALIAS
        or _RESERVED.fullmatch(alias) is not None
    ):
        raise InvalidName(
            alias[:_LONGEST_ALIAS],
            f"an alias: 1 to {_LONGEST_ALIAS} letters, digits, '_', '-'; latest and v1, v2, ... "
            "are reserved",
        )
    return alias


def _address(text: str, scheme: str) -> str:
    rest = text.removeprefix(scheme)
    if not rest.startswith("/") or rest.startswith("//"):
        raise InvalidName(text, _REFERENCES)
    return rest[1:]


def _model_address(text: str, rest: str) -> ModelReference:
    name, slash, suffix = rest.partition("/")
    if slash:
        if suffix.lower() in _STAGES:
            return ModelReference(name, stage=suffix)
        if _VERSION.fullmatch(suffix):
            return ModelReference(name, version=suffix)
    elif "@" in name:
        return _with_alias(name)
    raise InvalidName(
        text,
        "models:/NAME/VERSION, models:/NAME@ALIAS or models:/NAME/STAGE, where a stage is one of "
        + ", ".join(_STAGES.values()),
    )


def _with_alias(text: str) -> ModelReference:
    name, at, alias = text.rpartition("@")
    return ModelReference(name, alias=alias) if at else ModelReference(text)


def _version(version: str) -> str:
    plain = version.lstrip("0")
    if not _VERSION.fullmatch(version) or not plain:
        raise InvalidName(version[:_LONGEST_NAME], "a version: a whole number from 1")
    return plain


def _stage(stage: str) -> str:
    known = _STAGES.get(stage.lower())
    if known is None:
        raise InvalidName(stage, f"a stage: {', '.join(_STAGES.values())}")
    return known


def _is_plain(path: str) -> bool:
    """Whether a path is its own shortest form and leads nowhere above."""
    return posixpath.normpath(path) == path and path != "." and not path.startswith(("..", "/"))
