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


def test_json_line_names_the_request_and_the_trace_where_there_are_such() -> None:
    line = json.loads(JsonLines().format(record(request_id="r-1", trace_id="1" * 32)))
    assert (line["request_id"], line["trace_id"]) == ("r-1", "1" * 32)
    line = json.loads(JsonLines().format(record(request_id="r-1", trace_id=None)))
    assert "trace_id" not in line


def test_no_field_takes_the_place_of_the_lines_own() -> None:
    line = json.loads(JsonLines().format(record(time="never", level="none", logger="other")))
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"]) == ("error", "modelway.rest")
    assert list(line) == ["time", "level", "logger", "message"]


def test_a_number_that_json_does_not_have_is_text() -> None:
    line = json.loads(
        JsonLines().format(record(ratio=float("nan"), status=200)),
        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"),
    )
    assert (line["ratio"], line["status"]) == ("nan", 200)


@pytest.mark.parametrize("broken", ["a\nforged", "a\r\nforged", "a\x1b[2K", "a\u2028b", "a\x85b"])
def test_a_line_is_one_line_whatever_is_in_it(broken: str) -> None:
    found = logging.makeLogRecord({"levelname": "INFO", "msg": "it %s", "args": (broken,)})
    found.client = broken
    for line in (TextLines().format(found), JsonLines().format(found)):
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line


def test_configure_replaces_what_was_there(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(TelemetrySettings(log_format="json"), first)
    configure_logs(TelemetrySettings(log_level="warning", log_format="json"), second)
    logging.getLogger("modelway.test").info("quiet")
    logging.getLogger("modelway.test").warning("loud", extra={"request_id": "r-2"})
    assert first.getvalue() == ""
    (line,) = second.getvalue().splitlines()
    assert json.loads(line)["request_id"] == "r-2"
