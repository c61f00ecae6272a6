"""The table of every metric: what is counted, by which labels, and how processes are added up.

A metric that is not in ``TABLE`` does not exist; the reference page is made from the same table.
Every process writes its own numbers (``slots.py``), and ``exposition.py`` puts them together: a
counter and a histogram are sums over all slots, a gauge is what its ``across`` says.

Labels are bounded: an endpoint or a schedule that exists, a version cut short by ``short_version``,
a code of the error tree, the name of a protocol. What a caller chooses freely (a path, a name that
no endpoint has) is no label. Where a metric has more label sets than fit, the rest is one series
whose labels all say ``other``.

Source: Prometheus documentation, "Metric and label naming"; the ``process_`` names are those of
its client libraries.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "max", "slot"]
"""Of the slots' values: the sum, the largest, or each on its own with the label ``slot``."""

OTHER = "other"
"""The value of every label of the series that stands for what found no room."""

_DIGEST = "sha256:"
_DIGEST_CHARACTERS = 12

_SHORT = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
_SECONDS = (*_SHORT, 1.0, 2.5, 5.0, 10.0)
_LOADING = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)
_REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
_BYTES = tuple(64.0 * 4.0**power for power in range(11))  # 64 bytes to 64 MiB


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the table.

    ``unit`` is for people; the name ends with it where Prometheus wants it. ``buckets`` are the
    upper bounds of a histogram, ascending, without the infinite one.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Across = "sum"

    @property
    def n_cells(self) -> int:
        """How many numbers one series has: of a histogram a count a bucket, and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


_MODEL = ("endpoint", "version")

REQUESTS = Metric(
    "modelway_requests_total",
    "counter",
    "requests",
    "Requests by door and status: the number of HTTP, the name of gRPC.",
    ("protocol", "code"),
)
CONNECTIONS = Metric(
    "modelway_connections",
    "gauge",
    "connections",
    "HTTP connections that are open in a worker.",
    across="slot",
)
REQUEST_SECONDS = Metric(
    "modelway_request_duration_seconds",
    "histogram",
    "seconds",
    "Time from the whole request to its answer, by door.",
    ("protocol",),
    _SECONDS,
)
REQUEST_BYTES = Metric(
    "modelway_request_size_bytes",
    "histogram",
    "bytes",
    "Size of request bodies as they came.",
    ("protocol",),
    _BYTES,
)
RESPONSE_BYTES = Metric(
    "modelway_response_size_bytes",
    "histogram",
    "bytes",
    "Size of response bodies.",
    ("protocol",),
    _BYTES,
)
INFERENCE_REQUESTS = Metric(
    "modelway_inference_requests_total",
    "counter",
    "requests",
    "Inference requests by outcome: ok, or the code of the error.",
    (*_MODEL, "code"),
)
INFERENCE_SECONDS = Metric(
    "modelway_inference_duration_seconds",
    "histogram",
    "seconds",
    "Time from the decoded request to its outputs, waiting included.",
    _MODEL,
    _SECONDS,
)
QUEUE_SECONDS = Metric(
    "modelway_inference_queue_seconds",
    "histogram",
    "seconds",
    "Time that a request waited until its batch was begun.",
    _MODEL,
    _SECONDS,
)
BATCH_ROWS = Metric(
    "modelway_batch_rows",
    "histogram",
    "rows",
    "Rows that a model was given at once.",
    _MODEL,
    _ROWS,
)
BATCH_REQUESTS = Metric(
    "modelway_batch_requests",
    "histogram",
    "requests",
    "Requests that a model answered at once.",
    _MODEL,
    _REQUESTS,
)
QUEUE_DEPTH = Metric(
    "modelway_queue_depth",
    "gauge",
    "requests",
    "Requests that wait for a model now.",
    _MODEL,
)
RUNNERS = Metric(
    "modelway_runners",
    "gauge",
    "runners",
    "Threads or processes that run a model.",
    _MODEL,
)
RUNNER_BUSY_SECONDS = Metric(
    "modelway_runner_busy_seconds_total",
    "counter",
    "seconds",
    "Time in which a model was running, over all its runners.",
    _MODEL,
)
MODELS_LOADED = Metric(
    "modelway_models_loaded",
    "gauge",
    "models",
    "Model versions in the memory of a worker.",
    across="slot",
)
MODEL_MEMORY_BYTES = Metric(
    "modelway_model_memory_bytes",
    "gauge",
    "bytes",
    "Memory that a loaded version takes, estimated, over all workers.",
    _MODEL,
)
MODEL_LOAD_SECONDS = Metric(
    "modelway_model_load_seconds",
    "histogram",
    "seconds",
    "Time to open and warm up a version.",
    ("endpoint",),
    _LOADING,
)
MODEL_LOADS = Metric(
    "modelway_model_loads_total",
    "counter",
    "loads",
    "Versions that were loaded and warmed up.",
    ("endpoint",),
)
MODEL_LOAD_FAILURES = Metric(
    "modelway_model_load_failures_total",
    "counter",
    "loads",
    "Versions that could not be loaded or warmed up, by the code of the error.",
    ("endpoint", "code"),
)
MODEL_UNLOADS = Metric(
    "modelway_model_unloads_total",
    "counter",
    "unloads",
    "Versions that were released: replaced, removed, or out of the memory budget.",
    ("endpoint",),
)
OBSERVER_FAILURES = Metric(
    "modelway_observer_failures_total",
    "counter",
    "failures",
    "Times that an observer of answers (the record, a shadow) failed; the answer was given.",
    ("observer",),
)
SHADOW_REQUESTS = Metric(
    "modelway_shadow_requests_total",
    "counter",
    "requests",
    "Requests that were given to a shadow, after they were answered.",
    ("endpoint",),
)
SHADOW_SHED = Metric(
    "modelway_shadow_shed_total",
    "counter",
    "requests",
    "Requests that a shadow did not see: too many waited, or it was not open.",
    ("endpoint",),
)
JOB_ATTEMPTS = Metric(
    "modelway_job_attempts_total",
    "counter",
    "jobs",
    "Attempts at jobs by how they ended: succeeded, failed, retried, or lost to another worker.",
    ("endpoint", "outcome"),
)
JOBS = Metric(
    "modelway_jobs",
    "gauge",
    "jobs",
    "Jobs that wait (queued), are being answered (leased), or are dead letters (failed).",
    ("endpoint", "state"),
    across="max",
)
JOB_OLDEST_SECONDS = Metric(
    "modelway_job_oldest_seconds",
    "gauge",
    "seconds",
    "For how long the oldest job that waits has done so.",
    ("endpoint",),
    across="max",
)
SCHEDULE_RUNS = Metric(
    "modelway_schedule_runs",
    "gauge",
    "runs",
    "Runs of a schedule by what became of them, of the last 100: running, succeeded, failed; of "
    "those that were missed, how often it was due.",
    ("schedule", "state"),
    across="max",
)
SCHEDULE_LAST_SUCCESS = Metric(
    "modelway_schedule_last_success_timestamp_seconds",
    "gauge",
    "seconds",
    "When the last run of a schedule that succeeded ended, as Unix time; there is none before the "
    "first.",
    ("schedule",),
    across="max",
)
SCHEDULE_LAST_MISSED = Metric(
    "modelway_schedule_last_missed_timestamp_seconds",
    "gauge",
    "seconds",
    "When it was last seen that a run of a schedule was missed, as Unix time.",
    ("schedule",),
    across="max",
)
RECORDED = Metric(
    "modelway_records_total", "counter", "requests", "Requests whose records were written."
)
RECORDS_SHED = Metric(
    "modelway_records_shed_total",
    "counter",
    "requests",
    "Requests that were answered and not recorded: there was no room for them, in memory or on the "
    "disk.",
)
RECORD_FAILURES = Metric(
    "modelway_record_failures_total",
    "counter",
    "failures",
    "Times that records could not be written: disk, or a fault of our own (internal).",
    ("reason",),
)
WORKER_RESTARTS = Metric(
    "modelway_worker_restarts_total",
    "counter",
    "restarts",
    "Times that the supervisor started a slot's worker again.",
    ("slot",),
)
HOME_FREE_BYTES = Metric(
    "modelway_home_free_bytes",
    "gauge",
    "bytes",
    "Free space of the file system that holds the home.",
    across="max",
)
RESIDENT_BYTES = Metric(
    "process_resident_memory_bytes",
    "gauge",
    "bytes",
    "Resident memory of a process.",
    across="slot",
)
CPU_SECONDS = Metric(
    "process_cpu_seconds_total",
    "counter",
    "seconds",
    "CPU time, user and system, of all processes that have been in a slot.",
    across="slot",
)
OPEN_FDS = Metric(
    "process_open_fds",
    "gauge",
    "descriptors",
    "Open file descriptors of a process.",
    across="slot",
)
START_SECONDS = Metric(
    "process_start_time_seconds",
    "gauge",
    "seconds",
    "Start of a process, as Unix time.",
    across="slot",
)

TABLE: tuple[Metric, ...] = (
    REQUESTS,
    CONNECTIONS,
    REQUEST_SECONDS,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    INFERENCE_REQUESTS,
    INFERENCE_SECONDS,
    QUEUE_SECONDS,
    BATCH_ROWS,
    BATCH_REQUESTS,
    QUEUE_DEPTH,
    RUNNERS,
    RUNNER_BUSY_SECONDS,
    MODELS_LOADED,
    MODEL_MEMORY_BYTES,
    MODEL_LOAD_SECONDS,
    MODEL_LOADS,
    MODEL_LOAD_FAILURES,
    MODEL_UNLOADS,
    OBSERVER_FAILURES,
    SHADOW_REQUESTS,
    SHADOW_SHED,
    JOB_ATTEMPTS,
    JOBS,
    JOB_OLDEST_SECONDS,
    SCHEDULE_RUNS,
    SCHEDULE_LAST_SUCCESS,
    SCHEDULE_LAST_MISSED,
    RECORDED,
    RECORDS_SHED,
    RECORD_FAILURES,
    WORKER_RESTARTS,
    HOME_FREE_BYTES,
    RESIDENT_BYTES,
    CPU_SECONDS,
    OPEN_FDS,
    START_SECONDS,
)

BY_NAME: Mapping[str, Metric] = {one.name: one for one in TABLE}


@cache
def table_fingerprint() -> int:
    """A number of 32 bits that differs where the form of the table does; help does not count."""
    form = [(one.name, one.kind, one.labels, one.buckets) for one in TABLE]
    return zlib.crc32(repr(form).encode())


def short_version(version: str) -> str:
    """A version as a label: the registry's number as it is, a digest with 12 of its characters."""
    if version.startswith(_DIGEST):
        return version[: len(_DIGEST) + _DIGEST_CHARACTERS]
    return version


def metrics_page(notice: str) -> str:
    """The reference page of all metrics, as Markdown; ``notice`` stands under its title."""
    lines = [
        "# Metrics\n",
        notice,
        "`/metrics` answers in the text format 0.0.4 of Prometheus. Every process of a service "
        "keeps its\nnumbers in a file of its slot, so counters go on when a worker is replaced. A "
        "counter and a histogram\nare sums over all slots; a gauge is their sum or the largest of "
        "them, or has the label `slot`. Label\nsets that find no room are counted together in a "
        f"series whose labels say `{OTHER}`.\n",
        "| metric | type | labels | unit | over slots | |",
        "|---|---|---|---|---|---|",
    ]
    for one in TABLE:
        labels = (*one.labels, "slot") if one.across == "slot" else one.labels
        names = ", ".join(f"`{name}`" for name in labels)
        across = {"sum": "sum", "max": "largest", "slot": "each"}[one.across]
        cells = (f"`{one.name}`", one.kind, names, one.unit, across, one.help)
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("\nBuckets, as upper bounds:\n")
    for one in TABLE:
        if one.buckets:
            bounds = ", ".join(f"{bound:g}" for bound in one.buckets)
            lines.append(f"- `{one.name}`: {bounds}")
    return "\n".join(lines) + "\n"
