"""``{due}`` in the words of a command: the time at which a run was due.

``{due:%Y-%m-%d}`` says how it is written, by the directives of strftime(3) that mean the same in
Python and in date(1), whatever the language of a machine. Braces that are meant are doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from string import Formatter

from modelway.domain.errors import InvalidInput

USUAL = "%Y-%m-%dT%H%M%z"
"""With the offset of the zone: clocks that are put back show a time twice."""

_DUE = "due"
_DIRECTIVES = frozenset("YymdHMSjGVuz%")
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)

Piece = str | tuple[str]
"""A text as it is, or the format of a time in a tuple."""


def pieces(word: str) -> Iterator[Piece]:
    """What a word consists of.

    Raises:
        InvalidInput: a placeholder is unknown, or a brace stands alone.
    """
    try:
        found = list(Formatter().parse(word))
    except ValueError as error:
        raise InvalidInput(f"{word!r}: {error}", hint="a brace that is meant is doubled") from None
    for text, name, form, conversion in found:
        if text:
            yield text
        if name is None:
            continue
        if name != _DUE or conversion or "{" in (form or ""):
            raise InvalidInput(
                f"{word!r}: there is no placeholder {name!r}",
                hint="there is {due}, and {due:%Y-%m-%d}; a brace that is meant is doubled",
            )
        yield (_checked(form or USUAL),)


def filled(words: Sequence[str], due: datetime) -> tuple[str, ...]:
    """The words with the time, which is in the zone that is meant. Raises InvalidInput."""
    return tuple(
        "".join(one if isinstance(one, str) else due.strftime(one[0]) for one in pieces(word))
        for word in words
    )


def _checked(form: str) -> str:
    for directive in _DIRECTIVE.findall(form):
        if directive not in _DIRECTIVES:
            known = " ".join(f"%{one}" for one in sorted(_DIRECTIVES))
            raise InvalidInput(
                f"{{due:{form}}}: %{directive} is not taken", hint=f"taken are {known}"
            )
    return form
