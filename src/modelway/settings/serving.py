"""The settings of answering: where, how many processes, what is accepted, what is told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelway.domain.errors import BadValue
from modelway.settings.fields import MEBIBYTE, cores, parts_of, setting

_REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,99})=(https?://[!-~]+)")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where a service listens and how many processes answer."""

    host: str = setting("127.0.0.1", help="Address to listen on; 0.0.0.0 is every interface.")
    port: int = setting(
        8080, help="Port to listen on; 0 takes a free one.", minimum=0, maximum=65535
    )
    socket: str = setting("", help="Path of a Unix socket to listen on instead of host and port.")
    workers: int = setting(
        factory=cores,
        default_text="the number of cores",
        help="Processes that answer on the one port.",
        unit="processes",
        minimum=1,
        maximum=256,
    )
    default: str = setting(
        "", help="Endpoint that /predict asks; empty is the first of the command line."
    )
    trusted_proxies: str = setting(
        "",
        help="Who is believed about who called it (X-Forwarded-For): addresses and networks with "
        "commas between; unix is a Unix socket.",
    )
    tls_cert: str = setting(
        "", help="File with the certificate for TLS, and those that lead to its authority; PEM."
    )
    tls_key: str = setting("", help="File with the certificate's private key; PEM, not encrypted.")
    insecure: bool = setting(
        False,
        help="Whether other machines may ask for predictions without a key.",
    )
    drain_s: float = setting(
        10.0,
        help="Time that open requests get to finish on SIGTERM.",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Where administration and metrics answer."""

    host: str = setting("127.0.0.1", help="Address of the administration API and the metrics.")
    port: int = setting(
        8090,
        help="Port of the administration API and the metrics; 0 takes a free one. Where it was not "
        "named and is in use, a free one is taken.",
        minimum=0,
        maximum=65535,
    )


@dataclass(frozen=True, slots=True)
class RestSettings:
    """What the HTTP door accepts."""

    prefix: str = setting(
        "", help="Path in front of every route, where a proxy does not cut it off: /models-a."
    )
    cors_origins: str = setting(
        "",
        help="Origins whose web pages may ask, with commas between: https://app.example.org; empty "
        "for none. * is any, where no key is asked.",
    )
    sagemaker: str = setting(
        "",
        help="Folder of models for SageMaker's multi-model contract, which then stands in place of "
        "/models.",
    )
    max_body_bytes: int = setting(
        64 * MEBIBYTE,
        help="Largest request body.",
        unit="bytes",
        minimum=1024,
        maximum=16 * 1024 * MEBIBYTE,
    )
    max_json_depth: int = setting(
        100, help="Deepest nesting of a JSON body.", unit="levels", minimum=4, maximum=1000
    )
    max_rows: int = setting(
        1_000_000, help="Most rows of one request.", unit="rows", minimum=1, maximum=1_000_000_000
    )

    def __post_init__(self) -> None:
        """Do nothing if the prefix is a path. Raises BadValue."""
        if not _PATH.fullmatch(self.prefix):
            raise BadValue(f"rest.prefix: expected a path such as /models-a, got {self.prefix!r}")

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may ask."""
        return parts_of(self.cors_origins)


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """What the gRPC door accepts, and where."""

    enabled: bool = setting(
        False, help="Whether the Open Inference Protocol is served over gRPC too."
    )
    port: int = setting(
        8081,
        help="Port for gRPC; 0 takes a free one. The host is serve.host.",
        minimum=0,
        maximum=65535,
    )
    max_message_bytes: int = setting(
        64 * MEBIBYTE,
        help="Largest message, also once decompressed.",
        unit="bytes",
        minimum=1024,
        maximum=2**31 - 1,
    )
    max_rows: int = setting(
        1_000_000, help="Most rows of one request.", unit="rows", minimum=1, maximum=1_000_000_000
    )
    receive_s: float = setting(
        60.0,
        help="Time that the message of a call gets to come.",
        unit="seconds",
        minimum=0.1,
        maximum=86_400,
    )


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How the data plane answers."""

    strict: bool = setting(
        False,
        help="Refuse, instead of warn of, unknown columns, unseen categories and values outside "
        "the range of the training data.",
    )
    inline_s: float = setting(
        0.001,
        help="Longest time that an ONNX model may take on the event loop; what is predicted to "
        "take longer runs on a thread.",
        unit="seconds",
        minimum=0,
        maximum=1,
    )
    runners: int = setting(
        1,
        help="How many calls of one model that answers by Python code or its own library run at a "
        "time, in each worker; each runner has the model opened for itself.",
        unit="runners",
        minimum=1,
        maximum=256,
    )
    isolation: str = setting(
        "thread",
        help="Where models run that answer by Python code or their own library: on threads of the "
        "worker, or in child processes of it, as canaries and shadows always do.",
        choices=("thread", "process"),
    )
    queue_requests: int = setting(
        1024,
        help="Most requests that may wait for one model in each worker; one more is refused with "
        "503.",
        unit="requests",
        minimum=1,
        maximum=1_000_000,
    )
    batch_rows: int = setting(
        1024,
        help="Most rows of a batch made of several requests.",
        unit="rows",
        minimum=1,
        maximum=1_000_000,
    )
    batch_bytes: int = setting(
        16 * MEBIBYTE,
        help="Most bytes of input of a batch made of several requests.",
        unit="bytes",
        minimum=1024,
        maximum=16 * 1024 * MEBIBYTE,
    )
    batch_wait_s: float = setting(
        0.0,
        help="Longest time that the first request of a batch waits for more of them.",
        unit="seconds",
        minimum=0,
        maximum=10,
    )
    deadline_s: float = setting(
        60.0,
        help="Time that a request has for its answer where it names none; 504 after that.",
        unit="seconds",
        minimum=0.001,
        maximum=86_400,
    )
    memory_bytes: int = setting(
        0,
        help="Memory that open models may take in each worker; those not asked for longest are "
        "closed for others. 0 is no bound.",
        unit="bytes",
        minimum=0,
        maximum=2**50,
    )
    pinned: str = setting(
        "", help="Models that are never closed to make room, by name, with commas between."
    )
    lazy: bool = setting(
        False, help="Whether a model is opened when it is first asked, and not at the start."
    )
    threads: int = setting(
        factory=cores,
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
        return frozenset(parts_of(self.pinned))


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    """Who else may be shown what endpoints are asked."""

    remotes: str = setting(
        "",
        help="Services of others that may be shadows, with commas between, each a name and the "
        "model's address by the Open Inference Protocol: old=https://scoring.example/v2/models/loan.",
    )

    def __post_init__(self) -> None:
        """Do nothing if each is a name and an address. Raises BadValue."""
        if len(self.urls) < len(parts_of(self.remotes)):
            raise BadValue("shadows.remotes: a name stands there twice")

    @property
    def urls(self) -> Mapping[str, str]:
        """The addresses by name. Raises BadValue."""
        return dict(map(_remote, parts_of(self.remotes)))


def _remote(text: str) -> tuple[str, str]:
    found = _REMOTE.fullmatch(text)
    url = urlsplit(found[2]) if found else urlsplit("")
    try:
        fits = bool(url.hostname) and (url.port or 1) > 0 and not ("@" in url.netloc or url.query)
    except ValueError:  # the port is none
        fits = False
    if found is None or not fits:
        raise BadValue(
            f"shadows.remotes: expected a name and an address without user or query, such as "
            f"old=https://scoring.example/v2/models/loan, got {text!r}"
        )
    return found[1], found[2].rstrip("/")


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is logged, and how."""

    log_level: str = setting(
        "info",
        help="Least severe log line that is written.",
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = setting(
        "text", help="Form of a log line on standard error.", choices=("text", "json")
    )
    access_log: float = setting(
        0.0,
        help="Share of requests that get a line in the access log, at level info; which ones hangs "
        "on the request id.",
        minimum=0,
        maximum=1,
    )
    traces: bool = setting(
        False,
        help="Whether traces are sent over OpenTelemetry, set up by the OTEL_ variables; needs "
        "modelway[otel].",
    )
