"""Log lines: one line each, with every extra field, in both forms."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from modelway.settings import TelemetrySettings
from modelway.telemetry.logs import JsonLines, TextLines, configure_logs


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def record(**extra: object) -> logging.LogRecord:
    found = logging.makeLogRecord(
        {"name": "modelway.rest", "levelname": "ERROR", "msg": "it %s", "args": ("broke",)}
    )
    vars(found).update(extra)
    return found


def test_json_line_holds_time_level_message_and_fields() -> None:
    line = json.loads(JsonLines().format(record(request_id="r-1", slot=2)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "logger": "modelway.rest",
        "message": "it broke",
        "request_id": "r-1",
        "slot": 2,
    }


def test_json_stays_on_one_line_with_a_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        found = record(exc_info=sys.exc_info())
    line = JsonLines().format(found)
    assert "\n" not in line
    assert "ValueError: two" in json.loads(line)["exception"]


def test_text_line_ends_with_the_fields() -> None:
    line = TextLines().format(record(request_id="r-1"))
    assert line.endswith("error   it broke request_id=r-1")


def test_configure_replaces_what_was_there(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(TelemetrySettings(log_format="json"), first)
    configure_logs(TelemetrySettings(log_level="warning", log_format="json"), second)
    logging.getLogger("modelway.test").info("quiet")
    logging.getLogger("modelway.test").warning("loud", extra={"request_id": "r-2"})
    assert first.getvalue() == ""
    (line,) = second.getvalue().splitlines()
    assert json.loads(line)["request_id"] == "r-2"
