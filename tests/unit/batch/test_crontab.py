"""A schedule as the line of a crontab."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest

from modelway.batch.cron import Cron
from modelway.batch.crontab import Command, crontab, plain_fields
from modelway.domain.errors import InvalidInput

NIGHTLY = Cron("0 2 * * *", "Europe/Berlin")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def command(*words: str, folder: str = "/srv/my scores") -> Command:
    return Command("loan", ("/opt/python", *words), folder, {"HOME_OF": "/srv/it's"})


def run_by_cron(text: str) -> str:
    """The command as cron hands it to the shell: an escaped percent is one."""
    line = text.splitlines()[-1].removeprefix(f"{NIGHTLY.expression} ")
    assert "%" not in line.replace("\\%", "")
    return line.replace("\\%", "%")


def test_words_are_what_they_were_for_the_shell() -> None:
    words = ("--input", 'it\'s 100% $HOME `id` "q".csv', "", "a;b", "*.csv", "{{x}}")
    found = shlex.split(run_by_cron(crontab(NIGHTLY, command(*words))))
    assert found[:4] == ["cd", "/srv/my scores", "&&", "HOME_OF=/srv/it's"]
    assert found[4:] == ["/opt/python", *words[:-1], "{x}"]


def test_the_time_is_asked_of_the_clock_of_the_zone() -> None:
    line = run_by_cron(crontab(NIGHTLY, command("out $-{due:%Y-%m-%d}.csv")))
    assert line.endswith("'out $-'\"$(TZ=Europe/Berlin date +%Y-%m-%d)\".csv")


def test_the_zone_stands_before_the_line() -> None:
    assert crontab(NIGHTLY, command("x")).splitlines()[-2] == "CRON_TZ=Europe/Berlin"


@pytest.mark.parametrize("word", ["a\\b", "a\nb", "a\0b", "x" * 1000])
def test_what_cron_cannot_be_told_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput):
        crontab(NIGHTLY, command(word))


@pytest.mark.parametrize("expression", ["0 0 L * *", "0 0 * * MON#2", "0 0 * * 5L", "0 0 LW * *"])
def test_what_only_we_understand_is_not_printed(expression: str) -> None:
    with pytest.raises(InvalidInput, match="extensions"):
        crontab(Cron(expression, "UTC"), command("x"))


def test_sunday_is_one_day() -> None:
    assert plain_fields(Cron("0 0 * * 0,7", "UTC"))[4] == [0]
