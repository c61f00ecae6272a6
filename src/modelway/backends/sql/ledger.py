"""The promotion ledger: every move of an alias, under its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select, update

from modelway.backends.sql.columns import insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import changing
from modelway.backends.sql.tables import PROMOTIONS
from modelway.backends.sql.withdrawn import check_not_withdrawn
from modelway.domain.errors import NotFound, PromotionConflict
from modelway.registry.promotions import Kind, Promotion

_C = PROMOTIONS.c


class SqlLedger:
    """``Ledger``; every method raises StoreUnavailable where the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, promotion: Promotion) -> None:
        """Enter a move.

        Raises:
            PromotionConflict: its number is taken, or leaves a gap.
            Conflict: the version that it is to is withdrawn.
            InvalidInput: a value that the store cannot hold.
        """
        with changing(self._database) as (connection, entered):
            enter(connection, entered, promotion)

    def current(self, model: str | None = None) -> Sequence[Promotion]:
        """The latest move of each alias, by model and alias."""
        return self._found(_latest(model))

    def history(self, model: str, alias: str | None = None) -> Sequence[Promotion]:
        """Every move of a model's aliases, in the order in which they were entered."""
        moves = select(PROMOTIONS).where(_C.model == model).order_by(_C.entered)
        return self._found(moves if alias is None else moves.where(_C.alias == alias))

    def confirm(self, promotion: Promotion) -> None:
        """The registry shows this move.

        Raises:
            NotFound: it was never entered.
        """
        move = and_(_is_alias(promotion.model, promotion.alias), _C.number == promotion.number)
        with self._database.writing() as connection:
            done = connection.execute(update(PROMOTIONS).where(move).values(confirmed=True))
            if not done.rowcount:
                raise NotFound(
                    f"{promotion.model}@{promotion.alias} has no move {promotion.number}"
                )

    def unconfirmed(self) -> Sequence[Promotion]:
        """The latest moves that the registry is still to show, by model and alias."""
        return self._found(_latest(None).where(_C.confirmed.is_(False)))

    def _found(self, moves: Select[Any]) -> Sequence[Promotion]:
        with self._database.reading() as connection:
            return [_promotion(row) for row in connection.execute(moves)]


def aliases_at(connection: Connection, model: str, version: str) -> Sequence[str]:
    """The aliases of a model that the ledger has at a version, by name."""
    latest = _latest(model).where(_C.to_version == version)
    return [row.alias for row in connection.execute(latest)]


def enter(connection: Connection, entered: int, promotion: Promotion) -> None:
    """Enter a move as part of the change that makes the generation ``entered``.

    Raises:
        PromotionConflict: its number is taken, or leaves a gap.
        Conflict: the version that it is to is withdrawn.
        InvalidInput: a value that the store cannot hold.
    """
    latest = select(func.max(_C.number)).where(_is_alias(promotion.model, promotion.alias))
    following = (connection.scalar(latest) or 0) + 1
    if promotion.number != following:
        raise PromotionConflict(
            f"{promotion.model}@{promotion.alias} is at another move than expected: "
            f"the next is number {following}, not {promotion.number}",
            hint="look at it again: modelway model history",
        )
    if promotion.to_version is not None and promotion.kind in (Kind.PROMOTED, Kind.ROLLED_BACK):
        check_not_withdrawn(connection, promotion.model, promotion.to_version)
    row = asdict(promotion) | {
        "kind": promotion.kind.value,
        "entered": entered,
        "confirmed": False,
    }
    insert(connection, PROMOTIONS, [row])


def _is_alias(model: str, alias: str) -> ColumnElement[bool]:
    return and_(_C.model == model, _C.alias == alias)


def _latest(model: str | None) -> Select[Any]:
    numbers = select(_C.model, _C.alias, func.max(_C.number).label("number"))
    if model is not None:
        numbers = numbers.where(_C.model == model)
    last = numbers.group_by(_C.model, _C.alias).subquery()
    same = and_(*(_C[name] == last.c[name] for name in ("model", "alias", "number")))
    return select(PROMOTIONS).join(last, same).order_by(_C.model, _C.alias)


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(
        model=row.model,
        alias=row.alias,
        number=row.number,
        from_version=row.from_version,
        to_version=row.to_version,
        kind=Kind(row.kind),
        actor=row.actor,
        why=row.why,
        at=row.at,
        gate_report=row.gate_report,
    )
