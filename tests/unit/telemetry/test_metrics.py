"""The table of metrics: every row follows Prometheus' rules, and the page shows every row."""

from __future__ import annotations

import re

import pytest

from modelway.telemetry.metrics import (
    BY_NAME,
    INFERENCE_SECONDS,
    OTHER,
    TABLE,
    Metric,
    metrics_page,
    short_version,
)

PROCESS = {
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_start_time_seconds",
}
UNITS = ("seconds", "bytes")

every_metric = pytest.mark.parametrize("metric", TABLE, ids=lambda one: one.name)


@every_metric
def test_names_and_labels_follow_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"modelway_[a-z][a-z_]*[a-z]", metric.name) or metric.name in PROCESS
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    if metric.unit in UNITS:
        assert metric.unit in metric.name.removesuffix("_total").split("_")[-1]
    assert all(re.fullmatch(r"[a-z]+", label) for label in metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    assert not {"le", "quantile"} & set(metric.labels)
    assert metric.help.endswith(".")


@every_metric
def test_buckets_ascend_and_belong_to_histograms(metric: Metric) -> None:
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.n_cells == (len(metric.buckets) + 2 if metric.buckets else 1)


@every_metric
def test_only_a_gauge_or_a_process_is_not_summed(metric: Metric) -> None:
    if metric.across != "sum":
        assert metric.kind == "gauge" or metric.name in PROCESS
        assert "slot" not in metric.labels


def test_no_name_stands_twice() -> None:
    assert len(BY_NAME) == len(TABLE)


def test_latency_is_told_apart_from_50_microseconds_to_10_seconds() -> None:
    assert INFERENCE_SECONDS.buckets[0] == 50e-6
    assert INFERENCE_SECONDS.buckets[-1] == 10.0


@pytest.mark.parametrize(
    ("version", "short"),
    [
        ("7", "7"),
        ("sha256:" + "0123456789abcdef" * 4, "sha256:0123456789ab"),
        ("sha256:01", "sha256:01"),
    ],
)
def test_a_digest_is_cut_short_and_a_number_is_not(version: str, short: str) -> None:
    assert short_version(version) == short


def test_the_page_has_a_row_for_every_metric_and_a_line_for_every_histogram() -> None:
    page = metrics_page("The notice.\n")
    assert page.startswith("# Metrics\n\nThe notice.\n")
    assert OTHER in page
    for one in TABLE:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{one.name}` | ")]
        assert one.help in row
        assert ("`slot`" in row) == (one.across == "slot" or "slot" in one.labels)
        assert (f"- `{one.name}`: " in page) == (one.kind == "histogram")
