"""Cron expressions: when something is due, on the clocks of a time zone.

Five fields, read as Debian's cron reads them: where both the day of the month and the day of the
week are restricted, either is enough. Where clocks are changed, a time of day that is skipped is
due at the moment to which they skip, and one that they show twice is due the first time only; what
is due by a star in minute or hour goes on by the time that passes.

Source: crontab(5) and cron(8) of Debian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from modelway.domain.errors import InvalidInput

MOST_COUNTED = 1000
"""So many dues are counted at most: a clock that jumps by years passes over millions of minutes."""

_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression in a zone; ``cron_of`` makes one that is known to come due."""

    expression: str
    zone: str

    def after(self, at: datetime) -> datetime:
        """The first due after a time, in UTC.

        Raises:
            InvalidInput: it does not come due within fifty years; the zone or it is unknown.
        """
        for due in self._dues(at):
            return due
        raise InvalidInput(f"{self.expression!r} never comes due", hint="name a day that there is")

    def count(self, first: datetime, before: datetime) -> int:
        """How many dues there are from ``first``, which is one, and before ``before``.

        ``MOST_COUNTED`` stands for so many or more. Raises InvalidInput.
        """
        counted = 1
        for due in self._dues(first):
            if due >= before or counted == MOST_COUNTED:
                break
            counted += 1
        return counted

    def local(self, at: datetime) -> datetime:
        """A time on the clocks of the zone. Raises InvalidInput."""
        return at.astimezone(zone_of(self.zone))

    def fields(self) -> CronSim:
        """The sets of what each field allows. Raises InvalidInput."""
        return self._from(datetime.now(UTC))

    def _dues(self, at: datetime) -> Iterator[datetime]:
        """Every due after a time, each once.

        A time of day that clocks show twice is given by the first of both, so from within the
        second hour it would come again.
        """
        last = at
        for due in self._from(at.astimezone(zone_of(self.zone))):
            found = due.astimezone(UTC)
            if found > last:
                yield found
                last = found

    def _from(self, at: datetime) -> CronSim:
        try:
            return CronSim(self.expression, at)
        except CronSimError as error:
            raise InvalidInput(
                f"{self.expression!r} is no cron expression: {error}",
                hint="minute, hour, day of the month, month, day of the week: '0 2 * * *' is every "
                "night at two",
            ) from None


def cron_of(expression: str, zone: str, at: datetime) -> Cron:
    """The expression, once it is known to come due after ``at``.

    Raises:
        InvalidInput: it has not five fields, one of them is wrong, it never comes due, or there is
            no such zone.
    """
    words = expression.split()
    if len(words) != _FIELDS:
        raise InvalidInput(
            f"{expression!r} is no cron expression: expected 5 fields, got {len(words)}",
            hint="quote it: '0 2 * * *' is every night at two",
        )
    cron = Cron(" ".join(words), zone)
    cron.after(at)
    return cron


def zone_of(name: str) -> tzinfo:
    """The time zone of a name. Raises InvalidInput: there is none."""
    if name == "UTC":
        return UTC  # also where a machine knows no zones
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"there is no time zone {name[:80]!r}",
            hint="such as Europe/Berlin, or UTC; a machine without any gets them by "
            "pip install tzdata",
        ) from None
