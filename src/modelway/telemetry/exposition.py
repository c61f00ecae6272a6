"""The numbers of all slots as one text that Prometheus reads.

Counters and histograms of all slots are added up; a gauge is put together as its metric says. The
count of a histogram is the sum of its buckets, so ``_count`` and the infinite bucket never differ,
whatever moment the numbers were read at.

Source: Prometheus documentation, "Exposition formats", text-based format, version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf, isnan

from modelway.telemetry.metrics import TABLE, Metric
from modelway.telemetry.slots import SlotReading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LARGEST_WHOLE = 2.0**53

_Labels = tuple[tuple[str, str], ...]
_Merged = dict[_Labels, list[float]]
_Series = Sequence[tuple[_Labels, list[float]]]


def exposition(readings: Iterable[SlotReading]) -> bytes:
    """The text, in the order of the table; a metric without a series is left out."""
    merged = _merged(readings)
    lines: list[str] = []
    for metric in TABLE:
        of_metric = merged.get(metric.name)
        if of_metric:
            lines.append(f"# HELP {metric.name} {_help(metric.help)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            samples = _histograms if metric.kind == "histogram" else _numbers
            lines.extend(samples(metric, sorted(of_metric.items())))
    return "".join([f"{line}\n" for line in lines]).encode("utf-8", "replace")


def _merged(readings: Iterable[SlotReading]) -> dict[str, _Merged]:
    """The numbers of all slots by metric and labels."""
    merged: dict[str, _Merged] = {}
    for reading in readings:
        for metric, values, cells in reading.series:
            if metric.kind == "gauge" and isnan(cells[0]):
                continue
            labels = tuple(zip(metric.labels, values, strict=True))
            if metric.across == "slot":
                labels += (("slot", reading.slot),)
            of_metric = merged.setdefault(metric.name, {})
            before = of_metric.get(labels)
            if before is None:
                of_metric[labels] = cells
            elif metric.across == "max":
                of_metric[labels] = [max(before[0], cells[0])]
            else:
                of_metric[labels] = [a + b for a, b in zip(before, cells, strict=True)]
    return merged


def _numbers(metric: Metric, series: _Series) -> Iterator[str]:
    """The line of each counter or gauge."""
    for labels, cells in series:
        inside = _inside(labels)
        braces = f"{{{inside}}}" if inside else ""
        yield f"{metric.name}{braces} {_number(cells[0])}"


def _histograms(metric: Metric, series: _Series) -> Iterator[str]:
    """The lines of each histogram."""
    ends = [f'le="{_number(bound)}"}}' for bound in (*metric.buckets, inf)]
    for labels, cells in series:
        inside = _inside(labels)
        begin = f"{metric.name}_bucket{{{inside}," if inside else f"{metric.name}_bucket{{"
        braces = f"{{{inside}}}" if inside else ""
        count = 0
        for end, within in zip(ends, cells[:-1], strict=True):
            count += int(within)
            yield f"{begin}{end} {count}"
        yield f"{metric.name}_sum{braces} {_number(cells[-1])}"
        yield f"{metric.name}_count{braces} {count}"


def _inside(labels: _Labels) -> str:
    """What stands between the braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in labels])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    """A number as the format writes it, with nothing lost."""
    if value == inf:
        return "+Inf"
    if value == -inf:
        return "-Inf"
    if isnan(value):
        return "NaN"
    if value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return repr(value)
