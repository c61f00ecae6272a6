"""Who is calling and whether they may: the keys as a process knows them, asked with every request.

A key is taken from ``authorization: Bearer mw_...`` or ``x-api-key: mw_...``. The store is not
asked: whoever follows it gives all keys to ``refresh``, and what was revoked is refused from then
on. A text that proved right is known again by its SHA-256 until then, so the usual request costs
one hash and one look; which text is right cannot be learnt from how long that takes, because
nobody can choose what its hash looks like.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from modelway.access.keys import Key, Scope
from modelway.access.limits import Bucket
from modelway.access.making import PREFIX, is_id, parts_of
from modelway.access.permitting import permit, permit_endpoint, permit_scopes
from modelway.access.routes import Concerns, Rule
from modelway.domain.errors import RateLimited, Unauthenticated

MOST_TEXTS = 4096
"""So many texts of keys are known again; more, and they are looked at anew."""

_MOST_NAMES = 1024
_MICROSECOND_S = 1e-6  # as fine as a time is stored
_BEARER = f"Bearer {PREFIX}"
_SCHEME = "bearer "
_ONE_OF = {scope: frozenset((scope,)) for scope in Scope}


class _Known:
    """A key with what this process notes of it; ``used_s`` is Unix time, 0 for never."""

    __slots__ = ("actor", "bucket", "key", "predicts", "told_s", "used_s")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.actor = key.actor
        self.bucket: Bucket | None = None
        self.predicts: set[str] = set()
        self.used_s = self.told_s = 0.0


class Keys:
    """The keys of a process, used by one event loop; it is what a data plane asks who calls.

    ``clock`` gives seconds for the limits, ``unix_s`` those since 1970 for the last use.
    """

    def __init__(
        self,
        keys: Sequence[Key] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        unix_s: Callable[[], float] = time.time,
        most_texts: int = MOST_TEXTS,
    ) -> None:
        self._clock = clock
        self._unix_s = unix_s
        self._most_texts = most_texts
        self._by_id: dict[str, _Known] = {}
        self._by_digest: dict[bytes, _Known] = {}
        # Stands in where no key has the id, so that this costs as much as a wrong secret.
        now = datetime.fromtimestamp(0, UTC)
        nobody = Key("", "", secrets.token_bytes(32), frozenset(), (), now, revoked_at=now)
        self._nobody = _Known(nobody)
        self.refresh(keys)

    def refresh(self, keys: Sequence[Key]) -> None:
        """Know these keys and no others, as they are now; revoked ones are refused.

        A limit goes on where it was, unless its rate was changed.
        """
        self._by_digest.clear()
        known = {}
        for key in keys:
            one = self._by_id.get(key.id) or _Known(key)
            one.key, one.actor, one.predicts = key, key.actor, set()
            if not key.rate_per_s:
                one.bucket = None
            elif one.bucket is None or one.bucket.rate_per_s != key.rate_per_s:
                one.bucket = Bucket(key.rate_per_s, self._clock())
            known[key.id] = one
        self._by_id = known

    def principal(
        self, endpoint: str | None, headers: Mapping[str, str], scope: Scope = Scope.PREDICT
    ) -> str:
        """Who calls, as ``Key.actor`` says; ``headers`` are by lower-case name.

        ``endpoint`` is None for what concerns no single one.

        Raises:
            Unauthenticated: no key came, or one that is unknown or revoked; which is not said.
            Forbidden: the key lacks the scope, or is not for the endpoint.
            RateLimited: the key was used as often as it may be.
        """
        known = self._calling(headers)
        if scope is not Scope.PREDICT or endpoint not in known.predicts:
            permit(known.key, _ONE_OF[scope], endpoint)
            if scope is Scope.PREDICT and endpoint is not None:
                if len(known.predicts) >= _MOST_NAMES:
                    known.predicts.clear()
                known.predicts.add(endpoint)
        return known.actor

    def admit(self, rule: Rule, endpoint: str | None, headers: Mapping[str, str]) -> str | None:
        """Who calls what has this rule, None where nobody is asked. Raises as ``principal`` does.

        Not for inference, of which the data plane asks for itself: a request would count twice.
        """
        if rule.scopes is None:
            return None
        known = self._calling(headers)
        permit_scopes(known.key, rule.scopes)
        if rule.concerns is not Concerns.CALLER:
            permit_endpoint(known.key, endpoint)
        return known.actor

    def key(self, headers: Mapping[str, str]) -> Key:
        """The key that came, whatever it allows. Raises Unauthenticated, RateLimited."""
        return self._calling(headers).key

    def caller(self, headers: Mapping[str, str], scopes: frozenset[Scope]) -> Key:
        """The key that came, which has one of the scopes; whether it is for an endpoint is to be
        asked once that is known (``permit_endpoint``). Raises as ``principal`` does.
        """
        key = self._calling(headers).key
        permit_scopes(key, scopes)
        return key

    def used(self) -> Mapping[str, datetime]:
        """When keys were used last, by their ids, as far as ``stored`` was not told of it."""
        return {
            id: datetime.fromtimestamp(one.used_s, UTC)
            for id, one in self._by_id.items()
            if one.used_s - one.told_s > _MICROSECOND_S
        }

    def stored(self, used: Mapping[str, datetime]) -> None:
        """These uses are stored, and need not be said again."""
        for id, at in used.items():
            one = self._by_id.get(id)
            if one is not None:
                one.told_s = max(one.told_s, at.timestamp())

    def _calling(self, headers: Mapping[str, str]) -> _Known:
        text = headers.get("authorization", "")
        text = text[7:] if text.startswith(_BEARER) else _other_text(text, headers)
        known = self._by_digest.get(sha256(text.encode(errors="replace")).digest())
        if known is None:
            known = self._proved(text)
        known.used_s = self._unix_s()
        if known.bucket is not None:
            wait_s = known.bucket.take(self._clock())
            if wait_s:
                raise RateLimited(
                    f"this key allows {known.key.rate_per_s:g} requests a second in each worker",
                    hint=f"send it again later: retry_after_s={wait_s:.3f}",
                )
        return known

    def _proved(self, text: str) -> _Known:
        """The key of a text that was not seen before. Raises Unauthenticated."""
        id, secret_sha256 = parts_of(text)
        known = self._by_id.get(id, self._nobody)
        is_right = hmac.compare_digest(secret_sha256, known.key.secret_sha256)
        if not is_right or known.key.revoked_at is not None:
            raise Unauthenticated(
                "no key that is known here came with the request",
                hint="send authorization: Bearer KEY, or x-api-key: KEY; "
                "modelway key create makes one",
            )
        if len(self._by_digest) >= self._most_texts:
            self._by_digest.clear()
        self._by_digest[sha256(text.encode()).digest()] = known
        return known


def claimed_id(headers: Mapping[str, str]) -> str:
    """The id of the key that somebody claims to have, empty where what came is no key's."""
    text = headers.get("authorization", "")
    text = text[7:] if text.startswith(_BEARER) else _other_text(text, headers)
    id, _ = parts_of(text)
    return id if is_id(id) else ""


def _other_text(authorization: str, headers: Mapping[str, str]) -> str:
    """The text of a key that does not stand where it does most often; empty if there is none.

    ``authorization`` may be for a proxy in front, so a key beside it counts.
    """
    text = headers.get("x-api-key", "").strip()
    if not text and authorization[: len(_SCHEME)].lower() == _SCHEME:
        text = authorization[len(_SCHEME) :].strip()
    return text
