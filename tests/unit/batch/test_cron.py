"""When something is due, on clocks that are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from modelway.batch.cron import MOST_COUNTED, cron_of
from modelway.domain.errors import InvalidInput

BERLIN = "Europe/Berlin"
MINUTE = timedelta(minutes=1)


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def dues(expression: str, zone: str, at: datetime, n: int) -> list[str]:
    """The next ``n`` dues after a time, on the clocks of the zone."""
    cron, found = cron_of(expression, zone, at), []
    for _ in range(n):
        at = cron.after(at)
        found.append(f"{cron.local(at):%m-%d %H:%M%z}")
    return found


def test_either_kind_of_day_is_enough_where_both_are_restricted() -> None:
    found = dues("0 0 1,15 * MON", "UTC", utc(6, 1), 4)
    assert found == [f"06-{day:02} 00:00+0000" for day in (8, 15, 22, 29)]
    found = dues("0 0 */2 * MON", "UTC", utc(6, 1), 2)
    assert found == ["06-15 00:00+0000", "06-29 00:00+0000"]


def test_what_clocks_skip_is_due_when_they_skip_and_once() -> None:
    expected = ["03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200"]
    assert dues("30 2 * * *", BERLIN, utc(3, 28), 3) == expected
    assert dues("0,30 2 * * *", BERLIN, utc(3, 28, 12), 2) == [
        "03-29 03:00+0200",
        "03-30 02:00+0200",
    ]
    assert dues("*/30 * * * *", BERLIN, utc(3, 29, 0, 40), 2) == [
        "03-29 03:00+0200",
        "03-29 03:30+0200",
    ]


def test_what_clocks_show_twice_is_due_the_first_time() -> None:
    expected = ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert dues("30 2 * * *", BERLIN, utc(10, 24, 12), 2) == expected
    # Asked between both, and within the second hour.
    assert dues("30 2 * * *", BERLIN, utc(10, 25, 0, 40), 1) == expected[1:]
    assert dues("30 2 * * *", BERLIN, utc(10, 25, 1, 10), 1) == expected[1:]


def test_what_is_due_every_so_often_goes_on_through_the_hour_that_comes_twice() -> None:
    assert dues("*/30 * * * *", BERLIN, utc(10, 25, 0), 4) == [
        "10-25 02:30+0200",
        "10-25 02:00+0100",
        "10-25 02:30+0100",
        "10-25 03:00+0100",
    ]


@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/7 2,3 * * *", "30 2 * * *", "5 */3 * * SUN"]
)
@pytest.mark.parametrize("at", [utc(3, 27), utc(10, 23)], ids=["spring", "autumn"])
def test_a_due_is_after_what_was_asked_and_the_same_from_wherever_it_is_asked(
    expression: str, at: datetime
) -> None:
    cron = cron_of(expression, BERLIN, at)
    for _ in range(80):
        due = cron.after(at)
        assert due > at
        assert due.tzinfo is UTC
        middle = at + (due - at) / 2
        assert cron.after(middle) == due
        at = due if due - at > MINUTE else at + timedelta(hours=1)


def test_dues_are_counted_up_to_a_bound() -> None:
    cron = cron_of("*/5 * * * *", "UTC", utc(1, 1))
    first = cron.after(utc(1, 1))
    assert cron.count(first, first + MINUTE) == 1
    assert cron.count(first, first + 15 * MINUTE) == 3
    assert cron.count(first, first + 16 * MINUTE) == 4
    assert cron.count(first, utc(12, 1)) == MOST_COUNTED


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        ("0 2 * *", "UTC", "expected 5 fields, got 4"),
        ("0 0 2 * * *", "UTC", "expected 5 fields, got 6"),
        ("@daily", "UTC", "expected 5 fields, got 1"),
        ("61 2 * * *", "UTC", "Bad minute"),
        ("0 2 * * FOO", "UTC", "Bad day-of-week"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("0 2 * * *", "Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("0 2 * * *", "../../etc/passwd", "no time zone"),
        ("0 2 * * *", "", "no time zone ''"),
    ],
)
def test_what_cannot_be_meant_is_refused(expression: str, zone: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        cron_of(expression, zone, utc(1, 1))
