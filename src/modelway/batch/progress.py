"""How far a run is: rows, rows a second, and how long it will take yet."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """A moment of a run; ``remaining_s`` is None while nothing can be said."""

    rows: int
    total_rows: int
    rows_per_s: float
    remaining_s: float | None


def progress_at(rows: int, before: int, total: int, seconds: float) -> Progress:
    """How far a run is after ``seconds``; ``before`` of its rows were done before it began."""
    rate = (rows - before) / seconds if seconds > 0 else 0.0
    return Progress(rows, total, round(rate, 1), (total - rows) / rate if rate else None)


def bar(progress: Progress, width: int) -> str:
    """The moment as one line of at most ``width`` characters."""
    share = progress.rows / progress.total_rows if progress.total_rows else 1.0
    left = "" if progress.remaining_s is None else f", {_duration(progress.remaining_s)} left"
    text = f" {share:4.0%}  {progress.rows:,} rows, {progress.rows_per_s:,.0f} rows/s{left}"
    room = max(0, min(_MOST_CELLS, width - len(text) - 3))
    filled = round(room * share)
    return f"[{'#' * filled}{'.' * (room - filled)}]{text}"[:width]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


_MOST_CELLS = 40
