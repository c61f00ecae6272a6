"""Exit codes of the command line, one row a group of errors.

A class that has no row of its own has its group's. Codes are stable and meant for scripts.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelway.domain import errors

EXIT_CODES: Mapping[type[errors.ModelwayError], int] = {
    errors.ModelwayError: 1,
    errors.InvalidInput: 2,
    errors.InvalidSettings: 2,
    errors.MethodNotAllowed: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.NotPermitted: 5,
    errors.Untrusted: 6,
    errors.ModelFailed: 7,
    errors.Overloaded: 8,
    errors.Unavailable: 8,
    errors.NotReplayable: 9,
    errors.TooManyErrors: 12,
}

DIFFERENT = 10
"""A replay gave another answer: the model, or what runs it, has changed."""

ROW_ERRORS = 11
"""A file was scored, and some of its rows could not be: as many as were allowed at most."""

USAGE = 2
INTERRUPTED = 130


def exit_code(kind: type[errors.ModelwayError]) -> int:
    """The exit code of an error's class: its own row, or the nearest above it."""
    return next(EXIT_CODES[one] for one in kind.__mro__ if one in EXIT_CODES)
