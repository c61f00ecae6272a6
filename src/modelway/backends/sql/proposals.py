"""Promotions that wait for approval, each decided once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.exc import IntegrityError

from modelway.backends.sql.columns import check, insert
from modelway.backends.sql.database import Database
from modelway.backends.sql.generation import changing
from modelway.backends.sql.ledger import enter
from modelway.backends.sql.tables import PROPOSALS
from modelway.domain.errors import InvalidInput, ProposalDecided, ProposalNotFound, TargetExists
from modelway.registry.promotions import Decision, Promotion, Proposal

_C = PROPOSALS.c


def utc_now() -> datetime:
    """The time of this machine's clock."""
    return datetime.now(UTC)


class SqlProposals:
    """``Proposals``; every method raises StoreUnavailable where the store cannot be reached.

    ``clock`` says when a proposal was decided.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def add(self, proposal: Proposal) -> None:
        """Enter a proposal.

        Raises:
            TargetExists: there is one with its id.
            InvalidInput: a value that the store cannot hold.
        """
        row = asdict(proposal) | {"decision": proposal.decision.value}
        with self._database.writing() as connection:
            try:
                insert(connection, PROPOSALS, [row])
            except IntegrityError as error:
                raise TargetExists(f"a proposal has the id {proposal.id!r} already") from error

    def find(self, id: str) -> Proposal:
        """One proposal.

        Raises:
            ProposalNotFound: there is none with this id.
        """
        with self._database.reading() as connection:
            return _one(connection, id)

    def all(self, model: str | None = None) -> Sequence[Proposal]:
        """Every proposal, the newest first."""
        found = select(PROPOSALS).order_by(_C.at.desc(), _C.id.desc())
        if model is not None:
            found = found.where(_C.model == model)
        with self._database.reading() as connection:
            return [_proposal(row) for row in connection.execute(found)]

    def approve(self, id: str, by: str, move: Promotion) -> Proposal:
        """Approve it and enter its move in the ledger, both or neither; whether its time is over is
        not looked at.

        Raises:
            ProposalDecided: somebody was first.
            ProposalNotFound: there is none with this id.
            PromotionConflict: the number of the move is taken, or leaves a gap.
            Conflict: the version is withdrawn.
            InvalidInput: a value that the store cannot hold.
        """
        with changing(self._database) as (connection, entered):
            proposal = self._decided(connection, id, Decision.APPROVED, by)
            enter(connection, entered, move)
            return proposal

    def decide(self, id: str, decision: Decision, by: str) -> Proposal:
        """Decline it, or let it expire; whether its time is over is not looked at.

        Raises:
            ProposalDecided: somebody was first.
            ProposalNotFound: there is none with this id.
            InvalidInput: it is neither; one is approved with its move.
        """
        if decision not in (Decision.DECLINED, Decision.EXPIRED):
            raise InvalidInput(f"decision: expected declined or expired, got {decision}")
        with self._database.writing() as connection:
            return self._decided(connection, id, decision, by)

    def _decided(self, connection: Connection, id: str, decision: Decision, by: str) -> Proposal:
        still_open = update(PROPOSALS).where(_C.id == id, _C.decision == Decision.OPEN.value)
        values = {"decision": decision.value, "decided_by": by, "decided_at": self._clock()}
        check(PROPOSALS, values)
        decided = connection.execute(still_open.values(values)).rowcount
        proposal = _one(connection, id)
        if not decided:
            raise ProposalDecided(
                f"the promotion of {proposal.model}:{proposal.version} to {proposal.alias} "
                f"is {proposal.decision} already, by {proposal.decided_by}"
            )
        return proposal


def _one(connection: Connection, id: str) -> Proposal:
    row = connection.execute(select(PROPOSALS).where(_C.id == id)).one_or_none()
    if row is None:
        raise ProposalNotFound(id)
    return _proposal(row)


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        id=row.id,
        model=row.model,
        alias=row.alias,
        version=row.version,
        actor=row.actor,
        why=row.why,
        at=row.at,
        expires_at=row.expires_at,
        decision=Decision(row.decision),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        from_version=row.from_version,
    )
