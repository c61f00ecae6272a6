"""Every setting: type, default, unit, range and one line of help.

One frozen section per folder that has settings; a constructor is given its own section and no
other. A value comes from the first of these that has it: a flag of the command line, the
environment (``MODELWAY__SERVE__PORT``), ``modelway.toml`` (``[serve]`` with ``port``), the default.
A name that does not exist is an error, wherever it stands. Nothing else reads the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from modelway.domain.errors import BadValue, UnknownSetting

TOML = "modelway.toml"
PREFIX = "MODELWAY__"

MEBIBYTE = 1024 * 1024

_PLATFORMS = {"SAGEMAKER_BIND_TO_PORT": "serve.port"}
"""Settings that a platform makes by variables of its own; ours come first."""

_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def _setting(
    default: Any = MISSING,
    *,
    help: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    factory: Any = MISSING,
    default_text: str = "",
) -> Any:
    """A dataclass field that says what it means; ``default_text`` is for what a machine decides."""
    metadata = {
        "help": help,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "default_text": default_text,
    }
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where a service listens and how many processes answer."""

    host: str = _setting("127.0.0.1", help="Address to listen on; 0.0.0.0 is every interface.")
    port: int = _setting(
        8080, help="Port to listen on; 0 takes a free one.", minimum=0, maximum=65535
    )
    socket: str = _setting("", help="Path of a Unix socket to listen on instead of host and port.")
    workers: int = _setting(
        factory=_cores,
        default_text="the number of cores",
        help="Processes that answer on the one port.",
        unit="processes",
        minimum=1,
        maximum=256,
    )
    default: str = _setting(
        "", help="Endpoint that /predict asks; empty is the first of the command line."
    )
    trusted_proxies: str = _setting(
        "",
        help="Who is believed about who called it (X-Forwarded-For): addresses and networks with "
        "commas between; unix is a Unix socket.",
    )
    drain_s: float = _setting(
        10.0,
        help="Time that open requests get to finish on SIGTERM.",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Where administration and metrics answer."""

    host: str = _setting("127.0.0.1", help="Address of the administration API and the metrics.")
    port: int = _setting(
        8090,
        help="Port of the administration API and the metrics; 0 takes a free one. Where it was not "
        "named and is in use, a free one is taken.",
        minimum=0,
        maximum=65535,
    )


@dataclass(frozen=True, slots=True)
class RestSettings:
    """What the HTTP door accepts."""

    prefix: str = _setting(
        "", help="Path in front of every route, where a proxy does not cut it off: /models-a."
    )
    sagemaker: str = _setting(
        "",
        help="Folder of models for SageMaker's multi-model contract, which then stands in place of "
        "/models.",
    )
    max_body_bytes: int = _setting(
        64 * MEBIBYTE,
        help="Largest request body.",
        unit="bytes",
        minimum=1024,
        maximum=16 * 1024 * MEBIBYTE,
    )
    max_json_depth: int = _setting(
        100, help="Deepest nesting of a JSON body.", unit="levels", minimum=4, maximum=1000
    )
    max_rows: int = _setting(
        1_000_000, help="Most rows of one request.", unit="rows", minimum=1, maximum=1_000_000_000
    )

    def __post_init__(self) -> None:
        """Do nothing if the prefix is a path. Raises BadValue."""
        if not _PATH.fullmatch(self.prefix):
            raise BadValue(f"rest.prefix: expected a path such as /models-a, got {self.prefix!r}")


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """What the gRPC door accepts, and where."""

    enabled: bool = _setting(
        False, help="Whether the Open Inference Protocol is served over gRPC too."
    )
    port: int = _setting(
        8081,
        help="Port for gRPC; 0 takes a free one. The host is serve.host.",
        minimum=0,
        maximum=65535,
    )
    max_message_bytes: int = _setting(
        64 * MEBIBYTE,
        help="Largest message, also once decompressed.",
        unit="bytes",
        minimum=1024,
        maximum=2**31 - 1,
    )
    max_rows: int = _setting(
        1_000_000, help="Most rows of one request.", unit="rows", minimum=1, maximum=1_000_000_000
    )
    receive_s: float = _setting(
        60.0,
        help="Time that the message of a call gets to come.",
        unit="seconds",
        minimum=0.1,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How the data plane answers."""

    strict: bool = _setting(
        False,
        help="Refuse, instead of warn of, unknown columns, unseen categories and values outside "
        "the range of the training data.",
    )
    inline_s: float = _setting(
        0.001,
        help="Longest time that an ONNX model may take on the event loop; what is predicted to "
        "take longer runs on a thread.",
        unit="seconds",
        minimum=0,
        maximum=1,
    )
    runners: int = _setting(
        1,
        help="How many calls of one model that answers by Python code or its own library run at a "
        "time, in each worker; each runner has the model opened for itself.",
        unit="runners",
        minimum=1,
        maximum=256,
    )
    isolation: str = _setting(
        "thread",
        help="Where models run that answer by Python code or their own library: on threads of the "
        "worker, or in child processes of it.",
        choices=("thread", "process"),
    )
    queue_requests: int = _setting(
        1024,
        help="Most requests that may wait for one model in each worker; one more is refused with "
        "503.",
        unit="requests",
        minimum=1,
        maximum=1_000_000,
    )
    batch_rows: int = _setting(
        1024,
        help="Most rows of a batch made of several requests.",
        unit="rows",
        minimum=1,
        maximum=1_000_000,
    )
    batch_bytes: int = _setting(
        16 * MEBIBYTE,
        help="Most bytes of input of a batch made of several requests.",
        unit="bytes",
        minimum=1024,
        maximum=16 * 1024 * MEBIBYTE,
    )
    batch_wait_s: float = _setting(
        0.0,
        help="Longest time that the first request of a batch waits for more of them.",
        unit="seconds",
        minimum=0,
        maximum=10,
    )
    deadline_s: float = _setting(
        60.0,
        help="Time that a request has for its answer where it names none; 504 after that.",
        unit="seconds",
        minimum=0.001,
        maximum=86_400,
    )
    memory_bytes: int = _setting(
        0,
        help="Memory that open models may take in each worker; those not asked for longest are "
        "closed for others. 0 is no bound.",
        unit="bytes",
        minimum=0,
        maximum=2**50,
    )
    pinned: str = _setting(
        "", help="Models that are never closed to make room, by name, with commas between."
    )
    lazy: bool = _setting(
        False, help="Whether a model is opened when it is first asked, and not at the start."
    )
    threads: int = _setting(
        factory=_cores,
        default_text="the number of cores",
        help="Threads of one worker that read and write what is large, and most calls at a time of "
        "one ONNX model that is too slow for the event loop.",
        unit="threads",
        minimum=1,
        maximum=1024,
    )

    @property
    def pinned_names(self) -> frozenset[str]:
        """The names in ``pinned``."""
        return frozenset(name for name in self.pinned.replace(" ", "").split(",") if name)


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """Where bundles are kept, and what may become one."""

    home: Path = _setting(  # noqa: RUF009 - gives a field, as dataclasses.field does
        factory=lambda: Path(".modelway"), help="Folder for everything that Modelway keeps."
    )
    allow_pickle: bool = _setting(
        True,
        help="Whether a pickle named on the command line may be loaded, which runs code in it.",
    )


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is logged, and how."""

    log_level: str = _setting(
        "info",
        help="Least severe log line that is written.",
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = _setting(
        "text", help="Form of a log line on standard error.", choices=("text", "json")
    )
    access_log: float = _setting(
        0.0,
        help="Share of requests that get a line in the access log, at level info; which ones hangs "
        "on the request id.",
        minimum=0,
        maximum=1,
    )
    traces: bool = _setting(
        False,
        help="Whether traces are sent over OpenTelemetry, set up by the OTEL_ variables; needs "
        "modelway[otel].",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; ``origins`` says of each name ("serve.port") where its value came from."""

    serve: ServeSettings = field(default_factory=ServeSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    rest: RestSettings = field(default_factory=RestSettings)
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    bundles: BundleSettings = field(default_factory=BundleSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    origins: Mapping[str, str] = field(default_factory=dict)


SECTIONS: Mapping[str, type[Any]] = {
    "serve": ServeSettings,
    "admin": AdminSettings,
    "rest": RestSettings,
    "grpc": GrpcSettings,
    "inference": InferenceSettings,
    "bundles": BundleSettings,
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
        return PREFIX + self.name.replace(".", "__").upper()

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
