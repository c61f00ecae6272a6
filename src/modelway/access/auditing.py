"""Acts of administration as they are entered in the audit trail, whether they succeed or not.

    with audited.act(actor, "endpoint.change", "loan", {"live": "loan:8"}):
        ...

The entry is made when the block ends, with what became of it. Secrets are taken out first: the
trail is read by more people than may use them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from modelway.access.keys import Act
from modelway.access.ports import AuditTrail
from modelway.domain.errors import ModelwayError

DONE = "done"
FAULT = "internal-error"
"""The outcome of what failed by no error of ours."""
CANCELLED = "cancelled"

LONGEST_DETAIL = 8 * 1024
"""So many letters a detail has at most; of one that is longer the names alone are entered."""

_LONGEST_TEXT = 1000
_HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"secret|password|passwd|token|credential|authorization|(api|access|private)[_-]?key|^key$",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(mw_[a-z0-9]+_)[A-Za-z0-9_-]+")
_USERINFO = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@")

_log = logging.getLogger("modelway.audit")


class Audited:
    """Enters acts in a trail; ``now`` gives the time, with its zone.

    A trail that cannot be written to does not undo what was done, nor hide why it failed: the
    entry goes to the log instead.
    """

    def __init__(
        self, trail: AuditTrail, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._trail = trail
        self._now = now

    def act(
        self, actor: str, act: str, subject: str, detail: Mapping[str, object] | None = None
    ) -> Acting:
        """What is done in the block of ``with``, or of ``async with``, is entered once it ends.

        ``act`` is a noun and a verb, such as ``key.revoke``. ``detail`` is anything that JSON can
        hold; what is learnt only in the block is added to the ``detail`` of what is given back.
        """
        return Acting(self.enter, (actor, act, subject), detail or {})

    def enter(self, act: tuple[str, str, str], outcome: str, detail: Mapping[str, object]) -> None:
        """Enter at once what has ended: its actor, act and subject, and how; blocks."""
        actor, name, subject = map(_shown, act)
        entry = Act(actor, name, subject, outcome, detail_text(detail), self._now())
        try:
            self._trail.append(entry)
        except ModelwayError as error:
            _log.error("not entered in the audit trail: %s (%s)", entry, error)


class LoggedTrail:
    """``AuditTrail`` of a service without a store: acts go to its log, and are read there."""

    def append(self, act: Act) -> None:
        """Enter an act."""
        said = f"{act.actor} {act.act} {act.subject}: {act.outcome} {act.detail}"
        _log.info("act of administration: %s", said)

    def acts(self, limit: int, before: datetime | None = None) -> Sequence[Act]:
        """None: they are in the log."""
        return ()


class Acting:
    """An act that goes on; ``detail`` may be added to until it ends."""

    def __init__(
        self,
        enter: Callable[[tuple[str, str, str], str, Mapping[str, object]], None],
        act: tuple[str, str, str],
        detail: Mapping[str, object],
    ) -> None:
        self._enter = enter
        self._act = act
        self.detail = dict(detail)

    def __enter__(self) -> Acting:
        """Begin."""
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """Enter the act with its outcome; what it raised goes on."""
        self._enter(self._act, outcome_of(error), self._ended(error))

    async def __aenter__(self) -> Acting:
        """Begin."""
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """The same without waiting for the trail on the event loop.

        Who leaves meanwhile does not keep it from being entered.
        """
        entering = asyncio.to_thread(self._enter, self._act, outcome_of(error), self._ended(error))
        await asyncio.shield(entering)

    def _ended(self, error: BaseException | None) -> Mapping[str, object]:
        if isinstance(error, ModelwayError):
            return {**self.detail, "error": error.message}
        return self.detail


def outcome_of(error: BaseException | None) -> str:
    """How an act ended that raised this: ``done``, or a code."""
    if error is None:
        return DONE
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
        return CANCELLED
    return error.code if isinstance(error, ModelwayError) else FAULT


def detail_text(detail: Mapping[str, object]) -> str:
    """A detail as JSON, its names in order, without secrets.

    Fields are left out by their name, keys and passwords in addresses wherever they stand. Texts
    are cut at 1000 letters.
    """
    plain = msgspec.to_builtins(detail, str_keys=True, enc_hook=str)
    text = msgspec.json.encode(_without_secrets(plain), order="sorted").decode()
    if len(text) <= LONGEST_DETAIL:
        return text
    names = sorted(_shown(name)[:80] for name in plain)[:50]
    return msgspec.json.encode({"left_out": names, "letters": len(text)}).decode()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _shown(name): _HIDDEN if _SECRET_NAME.search(name) else _without_secrets(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(one) for one in value]
    return _shown(value) if isinstance(value, str) else value


def _shown(text: str) -> str:
    """A text as it is entered: without secrets, cut, and of letters that every store can hold.

    What a caller has made up must not keep its own entry out of the trail.
    """
    text = _KEY.sub(rf"\1{_HIDDEN}", _USERINFO.sub(rf"\1:{_HIDDEN}@", text))
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "..."
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
