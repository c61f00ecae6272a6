"""A schedule as the line of a crontab, for those who have cron run it.

Source: crontab(5) of cronie and of Debian; POSIX, "Shell Command Language".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelway.batch.cron import Cron
from modelway.batch.placeholders import pieces
from modelway.domain.errors import InvalidInput

_LONGEST = 998
"""Characters of a command that Debian's cron takes."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: its words with their placeholders, the folder, and variables."""

    name: str
    words: Sequence[str]
    folder: str
    environment: Mapping[str, str]


def crontab(cron: Cron, command: Command) -> str:
    """The lines of a crontab.

    Raises:
        InvalidInput: cron does not know the expression, or cannot be told the command.
    """
    plain_fields(cron)
    variables = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
    words = [*variables, *shell_words(command.words, cron.zone)]
    line = f"cd {shlex.quote(command.folder)} && {' '.join(words)}"
    refuse_lines(line)
    if "\\" in line:
        raise InvalidInput(
            "a backslash means different things to different crons",
            hint="name a file without one, or use print systemd",
        )
    line = line.replace("%", "\\%")
    if len(line) > _LONGEST:
        raise InvalidInput(f"the command has {len(line)} characters; cron takes {_LONGEST}")
    return "\n".join(
        (
            f"# {command.name}: modelway batch. CRON_TZ is for every line after it. Debian's cron",
            f"# does not know it, and needs a machine whose own zone is {cron.zone}.",
            f"CRON_TZ={cron.zone}",
            f"{cron.expression} {line}",
        )
    )


def shell_words(words: Sequence[str], zone: str) -> Iterator[str]:
    """Words as a shell reads them; for a placeholder it asks the clock of the zone."""
    for word in words:
        said = (
            shlex.quote(one)
            if isinstance(one, str)
            else f'"$(TZ={shlex.quote(zone)} date {shlex.quote("+" + one[0])})"'
            for one in pieces(word)
        )
        yield "".join(said) or "''"


def plain_fields(cron: Cron) -> tuple[Sequence[int], ...]:
    """The sets of the five fields, in order; Sunday is 0.

    Raises:
        InvalidInput: it says the last day of a month, or the n-th weekday, which are extensions.
    """
    found = cron.fields()
    days = [one for one in found.weekdays if isinstance(one, int)]
    if len(days) < len(found.weekdays) or min(found.days) < 0:
        raise InvalidInput(
            f"{cron.expression!r}: L and # are extensions that are understood here only",
            hint="modelway schedule add takes it",
        )
    weekdays = {one % 7 for one in days}
    fields = (found.minutes, found.hours, found.days, found.months, weekdays)
    return tuple(sorted(one) for one in fields)


def refuse_lines(text: str) -> None:
    """Do nothing if a text is of one line. Raises InvalidInput."""
    if not text.isprintable():
        raise InvalidInput("a line cannot hold line ends or control characters")
