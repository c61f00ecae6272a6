"""Reading the settings: flags, the environment, ``modelway.toml``, defaults, in this order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from modelway.domain.errors import BadValue, UnknownSetting
from modelway.settings.control import (
    AccessSettings,
    BundleSettings,
    RecordSettings,
    RegistrySettings,
    StoreSettings,
)
from modelway.settings.serving import (
    AdminSettings,
    GrpcSettings,
    InferenceSettings,
    RestSettings,
    ServeSettings,
    ShadowSettings,
    TelemetrySettings,
)
from modelway.settings.work import JobSettings

TOML = "modelway.toml"
PREFIX = "MODELWAY__"

_PLATFORMS = {"SAGEMAKER_BIND_TO_PORT": "serve.port"}
"""Settings that a platform makes by variables of its own; ours come first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; ``origins`` says of each name ("serve.port") where its value came from."""

    serve: ServeSettings = field(default_factory=ServeSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    rest: RestSettings = field(default_factory=RestSettings)
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    bundles: BundleSettings = field(default_factory=BundleSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    shadows: ShadowSettings = field(default_factory=ShadowSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    origins: Mapping[str, str] = field(default_factory=dict)

    def without_pickles(self) -> Settings:
        """The same, but that no pickle may be read."""
        return replace(self, bundles=replace(self.bundles, allow_pickle=False))

    def value(self, name: str) -> Any:
        """The value of a setting by its name."""
        section, _, one = name.partition(".")
        return getattr(getattr(self, section), one)

    def where_unsaid(self, values: Mapping[str, str], origin: str) -> Settings:
        """The same, with these values by name where nobody has said another."""
        found = self
        for name, value in values.items():
            if self.origins.get(name, "default") == "default":
                section, _, one = name.partition(".")
                changed = replace(getattr(found, section), **{one: value})
                origins = {**found.origins, name: origin}
                found = replace(found, **{section: changed}, origins=origins)
        return found


SECTIONS: Mapping[str, type[Any]] = {
    "serve": ServeSettings,
    "admin": AdminSettings,
    "rest": RestSettings,
    "grpc": GrpcSettings,
    "inference": InferenceSettings,
    "bundles": BundleSettings,
    "store": StoreSettings,
    "registry": RegistrySettings,
    "access": AccessSettings,
    "records": RecordSettings,
    "jobs": JobSettings,
    "shadows": ShadowSettings,
    "telemetry": TelemetrySettings,
}


@dataclass(frozen=True, slots=True)
class SettingField:
    """What is known of one setting, for its check, its help and its reference page."""

    name: str
    kind: type[Any]
    default: Any
    default_text: str
    help: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        (variable,) = environment_of({self.name: ""})
        return variable

    @property
    def expected(self) -> str:
        """The values that are allowed, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
        text = words.get(self.kind, "text")
        if self.minimum is not None and self.maximum is not None:
            text += f" from {self.minimum:,} to {self.maximum:,}"
        return f"{text} ({self.unit})" if self.unit else text


def setting_fields() -> Iterator[SettingField]:
    """Every setting there is, section by section."""
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind)
        for one in fields(kind):
            default = _default(one)
            yield SettingField(
                name=f"{section}.{one.name}",
                kind=hints[one.name],
                default=default,
                default_text=one.metadata["default_text"] or _text(default),
                help=one.metadata["help"],
                unit=one.metadata["unit"],
                minimum=one.metadata["minimum"],
                maximum=one.metadata["maximum"],
                choices=one.metadata["choices"],
            )


def load_settings(
    flags: Mapping[str, object] | None = None,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings that hold, each with its origin.

    ``flags`` are values by name ("serve.port"), None for a flag that was not given. ``folder`` is
    where ``modelway.toml`` may lie (default: here). ``environment`` is the process's by default.

    Raises:
        UnknownSetting: a flag, variable or key names no setting.
        BadValue: a value is of the wrong type or outside its range, or the TOML cannot be read.
    """
    known = {one.name: one for one in setting_fields()}
    given = (
        _from_toml((folder or Path()) / TOML),
        _from_environment(os.environ if environment is None else environment),
        {
            name: (value, "flag --" + name.rsplit(".", 1)[-1].replace("_", "-"))
            for name, value in (flags or {}).items()
            if value is not None
        },
    )
    values = {one.name: one.default for one in known.values()}
    origins = dict.fromkeys(values, "default")
    for source in given:
        for name, (raw, origin) in source.items():
            if name not in known:
                raise _unknown(name, origin, known)
            values[name] = _checked(known[name], raw, origin)
            origins[name] = origin
    sections = {
        section: kind(**{one.name: values[f"{section}.{one.name}"] for one in fields(kind)})
        for section, kind in SECTIONS.items()
    }
    return Settings(**sections, origins=origins)


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process: this process's own, with ``extra`` over it."""
    return {**os.environ, **extra}


def environment_of(values: Mapping[str, str]) -> dict[str, str]:
    """The variables that set values by their names ("store.url")."""
    return {PREFIX + name.replace(".", "__").upper(): one for name, one in values.items()}


def _default(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_toml(path: Path) -> dict[str, tuple[object, str]]:
    """The values of the file by name; none where there is no file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadValue(f"{path} cannot be read: {error}") from error
    found: dict[str, tuple[object, str]] = {}
    for section, values in content.items():
        if not isinstance(values, dict):
            found[section] = (values, path.name)
            continue
        found.update({f"{section}.{name}": (value, path.name) for name, value in values.items()})
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {
        name: (environment[variable], variable)
        for variable, name in _PLATFORMS.items()
        if variable in environment
    }
    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower().replace("__", ".")
            found[name] = (value, variable)
    return found


def _unknown(name: str, origin: str, known: Mapping[str, SettingField]) -> UnknownSetting:
    last = name.rsplit(".", 1)[-1]
    near = [one for one in known if one.rsplit(".", 1)[-1] == last or one.startswith(name + ".")]
    hint = "there is: " + ", ".join(near) if near else "modelway settings show lists all"
    return UnknownSetting(f"{origin}: there is no setting {name!r}", hint=hint)


def _checked(one: SettingField, raw: object, origin: str) -> Any:
    """``raw`` as the setting's own type, within its range."""
    try:
        value = _converted(one.kind, raw)
    except (TypeError, ValueError):
        value = None
    inside = value is not None and (
        (one.minimum is None or value >= one.minimum)
        and (one.maximum is None or value <= one.maximum)
        and (not one.choices or value in one.choices)
    )
    if not inside:
        raise BadValue(f"{one.name} ({origin}): expected {one.expected}, got {raw!r}")
    return value


def _converted(kind: type[Any], raw: object) -> Any:
    """``raw`` as ``kind``; text is parsed, anything else must be of the type already."""
    if kind is bool:
        if isinstance(raw, bool):
            return raw
        return {"true": True, "1": True, "false": False, "0": False}.get(str(raw).lower())
    if isinstance(raw, bool):
        return None
    if kind is int:
        return int(raw) if isinstance(raw, (int, str)) else None
    if kind is float:
        return float(raw) if isinstance(raw, (int, float, str)) else None
    if kind is Path:
        return Path(raw) if isinstance(raw, (str, Path)) else None
    return raw if isinstance(raw, str) else None
