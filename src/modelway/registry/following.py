"""The registry's aliases follow the ledger; the ledger follows what others moved in the registry.

A move is shown by setting the alias, reading it back and looking whether the ledger has moved on
meanwhile: whoever is late sets what is valid now, not what was valid when it began.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from modelway.domain.errors import InvalidInput, ModelNotFound, NotFound, PromotionConflict
from modelway.registry.models import RegisteredModel
from modelway.registry.ports import Ledger, Registry
from modelway.registry.promotions import Kind, Promotion

REGISTRY = "mlflow"
"""Who moved an alias that was moved in the registry itself."""

SETTLING = timedelta(seconds=10)
"""How long after a move the registry may still show, or be set to, what was valid before it."""

_MOST_TRIES = 5


class Following:
    """Keeps the registry's aliases and the ledger at one; raises RegistryUnavailable where the
    registry cannot be reached.

    An alias that is ``protected`` moves by the ledger alone: one that was moved in the registry is
    put back, and that somebody tried is entered.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        protected: Collection[str],
    ) -> None:
        self._registry, self._ledger = registry, ledger
        self._protected = frozenset(protected)

    def latest(self, model: str, alias: str) -> Promotion | None:
        """The latest move of an alias."""
        return next((one for one in self._ledger.current(model) if one.alias == alias), None)

    def show(self, move: Promotion, now: datetime) -> Promotion:
        """Bring the registry's alias to where the ledger has it, and confirm that; gives the move
        that is valid then."""
        for _ in range(_MOST_TRIES):
            move = self.latest(move.model, move.alias) or move
            try:
                self._registry.set_alias(move.model, move.alias, move.to_version)
            except (NotFound, InvalidInput) as error:
                if move.alias in self._protected:  # nobody has approved any other version
                    break
                return self._lost(move, error.message, now)
            shown = self._aliases(move.model).get(move.alias)
            if shown == move.to_version and self._is_latest(move):
                self._ledger.confirm(move)
                break
        return move

    def notice(self, model: str, alias: str, now: datetime) -> Promotion | None:
        """The latest move of an alias, as the ledger has it before the registry is asked; or that
        of others, entered here, if it shows one.

        Raises:
            ModelNotFound: there is no such model.
        """
        latest = self.latest(model, alias)
        waiting = {(one.model, one.alias) for one in self._ledger.unconfirmed()}
        shown = self._registry.model(model).aliases.get(alias)
        if (model, alias) in waiting:
            return latest
        return self._compare(model, alias, latest, shown, now) or latest

    def follow(self, now: datetime) -> list[Promotion]:
        """Show every move that the registry does not show, and enter every one that others made
        there; gives the moves that were confirmed or entered."""
        waiting = self._ledger.unconfirmed()
        done = [self.show(one, now) for one in waiting]
        apart = {(one.model, one.alias) for one in waiting}
        models = self._registry.models()
        aliases = {one.name: one.aliases for one in models}
        if not any(aliases.values()):
            # A search that shows no alias at all may be one that never does.
            aliases = {one.name: self._aliases(one.name) for one in models}
        ledger: dict[str, dict[str, Promotion]] = {}
        for one in self._ledger.current():
            ledger.setdefault(one.model, {})[one.alias] = one
        for model in sorted({*aliases, *ledger}):
            latest, shown = ledger.get(model, {}), aliases.get(model, {})
            differing = [a for a in _differing(latest, shown) if (model, a) not in apart]
            if differing:
                shown = self._aliases(model)
                compared = [
                    self._compare(model, a, latest.get(a), shown.get(a), now) for a in differing
                ]
                done += [one for one in compared if one is not None]
        return done

    def _compare(
        self, model: str, alias: str, latest: Promotion | None, shown: str | None, now: datetime
    ) -> Promotion | None:
        """Enter what the registry shows, unless the ledger has it so, or it is still on its way;
        or refuse it."""
        if shown == (latest.to_version if latest else None):
            return None
        if latest is not None and now - latest.at < SETTLING:
            recent = [one for one in self._ledger.history(model, alias) if now - one.at < SETTLING]
            if shown in {version for one in recent for version in _ends(one)}:
                return None
        if alias in self._protected:
            return self._refuse(model, alias, latest, shown, now)
        why = "moved in the registry itself"
        return self._append(_noticed(model, alias, latest, shown, now, why))

    def _refuse(
        self, model: str, alias: str, latest: Promotion | None, shown: str | None, now: datetime
    ) -> Promotion | None:
        """Enter that a protected alias was moved in the registry, and put it back.

        Where it was never approved to be anywhere there is nothing to put back to: what a team had
        set before it protected the alias stays, and is not followed.
        """
        kept = latest.to_version if latest else None
        if kept is None and latest is not None and latest.kind is Kind.REFUSED:
            return None
        found = f"moved to version {shown}" if shown else "removed"
        why = f"{found} in the registry itself, where nobody may: {alias} is protected"
        tried = replace(_noticed(model, alias, latest, kept, now, why), kind=Kind.REFUSED)
        if kept is None:
            return self._append(tried)
        try:
            self._ledger.append(tried)
        except PromotionConflict:  # another host was quicker
            return None
        return self.show(tried, now)

    def _is_latest(self, move: Promotion) -> bool:
        latest = self.latest(move.model, move.alias)
        return latest is not None and latest.number == move.number

    def _lost(self, move: Promotion, reason: str, now: datetime) -> Promotion:
        """A move that the registry can never show, to a version deleted there, say: where the alias
        is instead."""
        shown = self._aliases(move.model).get(move.alias)
        why = f"the registry cannot show version {move.to_version}: {reason}"
        return self._append(_noticed(move.model, move.alias, move, shown, now, why)) or move

    def _append(self, noticed: Promotion) -> Promotion | None:
        """Enter what the registry shows already."""
        with contextlib.suppress(PromotionConflict):  # another host was quicker
            self._ledger.append(noticed)
            self._ledger.confirm(noticed)
            return noticed
        return None

    def _aliases(self, model: str) -> Mapping[str, str]:
        """The aliases of a model, none where it was deleted."""
        try:
            return self._registry.model(model).aliases
        except ModelNotFound:
            return RegisteredModel(model).aliases


def _noticed(
    model: str,
    alias: str,
    latest: Promotion | None,
    to_version: str | None,
    now: datetime,
    why: str,
) -> Promotion:
    """A move of an alias in the registry, behind the latest one."""
    return Promotion(
        model=model,
        alias=alias,
        number=latest.number + 1 if latest else 1,
        from_version=latest.to_version if latest else None,
        to_version=to_version,
        kind=Kind.NOTICED,
        actor=REGISTRY,
        why=why,
        at=now,
    )


def _differing(latest: Mapping[str, Promotion], shown: Mapping[str, str]) -> Sequence[str]:
    """The aliases that the ledger has elsewhere than the registry."""
    entered = {alias: one.to_version for alias, one in latest.items() if one.to_version is not None}
    return sorted(a for a in {*entered, *shown} if entered.get(a) != shown.get(a))


def _ends(move: Promotion) -> tuple[str | None, str | None]:
    return move.from_version, move.to_version
