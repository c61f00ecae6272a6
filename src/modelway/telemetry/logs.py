"""Log lines: one a line on standard error, as text for people or as JSON for machines.

Code logs with the standard library and passes what belongs to the line as ``extra`` fields
(``request_id``, ``trace_id``, ``endpoint``, ``slot``); the formatters here write every such field
that has a value. Neither the payload of a request nor a traceback goes to a client; the traceback
goes here.

A line is one line whatever is in it: a name that a caller chose can forge no second one, and no
field takes the place of the time, the level, the logger or the message.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from modelway.settings import TelemetrySettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC, ISO 8601), level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line = {**line, **fields_of(record), **line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return _json(line)
        except ValueError:  # a number that JSON does not have, or a value that holds itself
            return _json({name: _written(value) for name, value in line.items()})


class TextLines(logging.Formatter):
    """A record as one line for people, its fields at the end as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; a traceback follows on lines of its own."""
        fields = "".join(f" {name}={_plain(value)}" for name, value in fields_of(record).items())
        message = _plain(record.getMessage())
        line = f"{_time(record)} {record.levelname.lower():7} {message}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """What was passed as ``extra`` with the record and is not None."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None
    }


def configure_logs(settings: TelemetrySettings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to ``stream`` (default: standard error).

    Called once, by the process's own entry; a second call replaces the first.
    """
    writer = logging.StreamHandler(stream or sys.stderr)
    writer.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(writer)
    root.setLevel(level)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _json(line: Mapping[str, Any]) -> str:
    text = json.dumps(line, default=str, ensure_ascii=False, allow_nan=False)
    return _one_line(text, lambda one: json.dumps(one)[1:-1])


def _written(value: object) -> object:
    """A value that JSON surely has."""
    return value if isinstance(value, str | int | None) else str(value)


def _plain(value: object) -> str:
    """A value as text for people, on one line."""
    return _one_line(str(value), lambda one: repr(one)[1:-1])


def _one_line(text: str, escape: Callable[[str], str]) -> str:
    """The text with what would break the line, or change what stands in it, escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else escape(one) for one in text)
