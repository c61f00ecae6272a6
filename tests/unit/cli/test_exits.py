"""Exit codes: every error class has one, and a code of its own to be known by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelway.cli.exits import EXIT_CODES, exit_code
from modelway.domain import errors


def tree(kind: type[errors.ModelwayError]) -> Iterator[type[errors.ModelwayError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_every_error_has_the_exit_code_of_its_group() -> None:
    for kind in tree(errors.ModelwayError):
        if kind is errors.ModelwayError:
            assert exit_code(kind) == 1
            continue
        groups = [one for one in kind.__mro__[:-3] if one in EXIT_CODES]
        assert groups, f"{kind.__name__} has no row"
        assert exit_code(kind) == EXIT_CODES[groups[0]] != 0


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in tree(errors.ModelwayError)]
    assert len(set(codes)) == len(codes)


def test_every_row_of_the_table_is_an_error() -> None:
    assert set(EXIT_CODES) <= set(tree(errors.ModelwayError))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SignatureMismatch, 2),
        (errors.PortInUse, 2),
        (errors.SourceNotFound, 3),
        (errors.TargetExists, 4),
        (errors.DigestMismatch, 6),
        (errors.BuildFailed, 7),
        (errors.NotReady, 8),
    ],
)
def test_the_codes_that_scripts_rely_on(kind: type[errors.ModelwayError], code: int) -> None:
    assert exit_code(kind) == code
