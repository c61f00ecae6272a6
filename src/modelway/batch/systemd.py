"""A schedule as a service and a timer of systemd, for those who have systemd run it.

Source: systemd.service(5), "COMMAND LINES"; systemd.time(7), "CALENDAR EVENTS"; systemd.syntax(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from modelway.batch.cron import Cron
from modelway.batch.crontab import Command, plain_fields, refuse_lines, shell_words
from modelway.batch.placeholders import pieces

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_ALL = (range(60), range(24), range(1, 32), range(1, 13), range(7))
_FEWEST = 3
"""So many numbers in a row are written as a range."""


def systemd_units(cron: Cron, command: Command) -> tuple[str, str]:
    """The text of the service and of the timer.

    Raises:
        InvalidInput: systemd cannot be told the expression or the command.
    """
    for text in (*command.words, command.folder, *command.environment.values()):
        refuse_lines(text)
    environment = [
        f"Environment={_quoted(f'{name}={value}')}" for name, value in command.environment.items()
    ]
    service = (
        "[Unit]",
        f"Description=modelway batch: {command.name}",
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={command.folder.replace('%', '%%')}",
        *environment,
        f"ExecStart={' '.join(_executed(command.words, cron.zone))}",
    )
    timer = (
        "[Unit]",
        f"Description=modelway batch: {command.name}",
        "",
        "[Timer]",
        *(f"OnCalendar={one}" for one in calendar_events(cron)),
        "AccuracySec=1s",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )
    return "\n".join(service), "\n".join(timer)


def calendar_events(cron: Cron) -> Iterator[str]:
    """What is to be said after ``OnCalendar=``: two lines where either of two kinds of days is due.

    Raises:
        InvalidInput: systemd cannot be told the expression.
    """
    fields = plain_fields(cron)
    minutes, hours, days, months, weekdays = (
        _numbers(some, every) for some, every in zip(fields, _ALL, strict=True)
    )
    named = "" if weekdays == "*" else ",".join(_WEEKDAYS[one] for one in fields[4]) + " "
    clock = f"{hours}:{minutes}:00 {cron.zone}"
    if cron.fields().day_and:
        yield f"{named}*-{months}-{days} {clock}"
    elif days == "*" or not named:
        yield f"*-{months}-* {clock}"
    else:
        yield f"*-{months}-{days} {clock}"
        yield f"{named}*-{months}-* {clock}"


def _numbers(some: Sequence[int], every: Sequence[int]) -> str:
    """Numbers as systemd lists them: those in a row as a range, all of them as a star."""
    if len(some) == len(every):
        return "*"
    ends = [k for k, (one, other) in enumerate(pairwise(some), 1) if other != one + 1]
    rows = [some[first:last] for first, last in pairwise((0, *ends, len(some)))]
    return ",".join(
        f"{row[0]:02}..{row[-1]:02}"
        if len(row) >= _FEWEST
        else ",".join(f"{one:02}" for one in row)
        for row in rows
    )


def _executed(words: Sequence[str], zone: str) -> list[str]:
    """The words of a command; only where the time is among them a shell has to ask for it."""
    found = [list(pieces(word)) for word in words]
    if any(isinstance(one, tuple) for word in found for one in word):
        script = "exec " + " ".join(shell_words(words, zone))
        return ["/bin/sh", "-c", _quoted(script).replace("$", "$$")]
    plain = ["".join(one for one in word if isinstance(one, str)) for word in found]
    return [_quoted(one).replace("$", "$$") for one in plain]


def _quoted(word: str) -> str:
    """A word in quotes where it needs some; percents are for specifiers otherwise."""
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
