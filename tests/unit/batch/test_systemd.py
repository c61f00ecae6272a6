"""A schedule as a service and a timer of systemd."""

from __future__ import annotations

import pytest

from modelway.batch.cron import Cron
from modelway.batch.crontab import Command
from modelway.batch.systemd import calendar_events, systemd_units
from modelway.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 2 * * *", ["*-*-* 02:00:00"]),
        ("*/15 * * * *", ["*-*-* *:00,15,30,45:00"]),
        ("0 9-17 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 09..17:00:00"]),
        ("5 4 1-3,7,9,20-31 1,12 *", ["*-01,12-01..03,07,09,20..31 04:05:00"]),
        ("0 0 1,15 * MON", ["*-*-01,15 00:00:00", "Mon *-*-* 00:00:00"]),
        ("0 0 */10 * MON", ["Mon *-*-01,11,21,31 00:00:00"]),
        ("0 0 1-31 * MON", ["*-*-* 00:00:00"]),
        ("0 0 1 * 0-7", ["*-*-* 00:00:00"]),
        ("0 0 * * 7", ["Sun *-*-* 00:00:00"]),
    ],
)
def test_a_timer_is_due_when_cron_is(expression: str, expected: list[str]) -> None:
    found = list(calendar_events(Cron(expression, "Asia/Tokyo")))
    assert found == [f"{one} Asia/Tokyo" for one in expected]


def units(*words: str, folder: str = "/srv/100%") -> tuple[str, str]:
    command = Command("loan", ("/opt/python", *words), folder, {"HOME_OF": "/srv/my 100%"})
    return systemd_units(Cron("0 2 * * *", "UTC"), command)


def test_what_means_something_to_systemd_is_escaped() -> None:
    service, timer = units("it's", '100% $HOME "q" \\', "{{x}}", ";", "")
    lines = service.splitlines()
    words = '"it\'s" "100%% $$HOME \\"q\\" \\\\" "{x}" ";" ""'
    assert lines[-1] == f"ExecStart=/opt/python {words}"
    assert "WorkingDirectory=/srv/100%%" in lines
    assert 'Environment="HOME_OF=/srv/my 100%%"' in lines
    assert "Persistent=true" in timer.splitlines()
    assert "OnCalendar=*-*-* 02:00:00 UTC" in timer.splitlines()


def test_a_shell_asks_for_the_time() -> None:
    service, _ = units("out-{due:%Y}.csv")
    script = 'exec /opt/python out-\\"$$(TZ=UTC date +%%Y)\\".csv'
    assert service.splitlines()[-1] == f'ExecStart=/bin/sh -c "{script}"'


@pytest.mark.parametrize(("word", "folder"), [("a\nb", "/srv"), ("a", "/s\nExecStart=/bin/rm")])
def test_a_line_end_is_refused(word: str, folder: str) -> None:
    with pytest.raises(InvalidInput, match="line ends"):
        units(word, folder=folder)
