"""What references mean, by a registry and a ledger in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from modelway.domain.errors import (
    AliasNotFound,
    InvalidInput,
    NotFound,
    RegistryUnavailable,
    VersionNotFound,
)
from modelway.registry.meanings import Meanings
from modelway.registry.models import ARCHIVED_BY, ModelVersion, Run
from support.ledgers import MemoryLedger
from support.lineages import MemoryRegistry
from support.moves import NOON, move

HOUR = timedelta(hours=1)
FIRST = ModelVersion("loan", "1", NOON, "runs:/r/model", stage="Staging")
SECOND = replace(FIRST, version="2", created_at=NOON + HOUR)
THIRD = replace(FIRST, version="3", created_at=NOON + 2 * HOUR, stage=None)
OTHER = replace(FIRST, name="iris", version="1", created_at=NOON + 3 * HOUR, stage=None)


def meanings(*held: ModelVersion, away: bool = False) -> Meanings:
    """Of versions in a registry, beside a ledger that has moved the champion to 2."""
    ledger = MemoryLedger()
    ledger.append(move(1, "2"))
    ledger.append(move(1, "1", alias="gone"))
    ledger.append(move(2, None, alias="gone"))
    return Meanings(MemoryRegistry(held, {"r": Run("r", "", NOON)}, away), ledger)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loan:9", ("loan", "9")),
        ("loan@champion", ("loan", "2")),
        ("loan", ("loan", "3")),
        ("models:/loan/latest", ("loan", "3")),
        ("models:/loan/None", ("loan", "3")),
        ("models:/loan/Staging", ("loan", "2")),
        ("runs:/r/model", ("iris", "1")),
    ],
)
def test_a_reference_means_a_version(text: str, expected: tuple[str, str]) -> None:
    assert meanings(FIRST, SECOND, THIRD, OTHER).version(text) == expected


def test_a_run_means_the_newest_version_of_the_model_that_is_wanted() -> None:
    known = meanings(FIRST, SECOND, THIRD, OTHER)
    assert known.version("runs:/r/model", "loan") == ("loan", "3")
    with pytest.raises(NotFound, match="no version of bank was registered from runs:/r/model"):
        known.version("runs:/r/model", "bank")


def test_what_is_not_ready_or_is_archived_is_meant_by_its_number_alone() -> None:
    pending = replace(THIRD, state="PENDING_REGISTRATION")
    archived = replace(SECOND, tags={ARCHIVED_BY: "ann"})
    known = meanings(FIRST, archived, pending)
    assert known.version("loan") == ("loan", "1")
    assert known.version("models:/loan/Staging") == ("loan", "1")
    assert known.version("loan:2") == ("loan", "2")
    with pytest.raises(VersionNotFound, match="'None'; there is: 1, 2, 3"):
        known.version("models:/loan/None")


def test_a_version_of_another_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'iris:1' names a version of iris"):
        meanings(OTHER).version("iris:1", "loan")


def test_an_alias_that_nobody_set_is_told() -> None:
    for alias in ("nobody", "gone"):
        with pytest.raises(AliasNotFound):
            meanings(FIRST).version(f"loan@{alias}")


def test_endpoints_follow_an_alias_and_keep_the_number_of_all_else() -> None:
    known = meanings(FIRST, SECOND, THIRD)
    assert known.followed("models:/loan@nobody") == "loan@nobody"
    assert known.followed("models:/loan/007") == "loan:7"
    assert known.followed("models:/loan/staging") == "loan:2"


def test_numbers_and_aliases_need_no_registry() -> None:
    known = meanings(away=True)
    assert known.version("loan@champion") == ("loan", "2")
    assert known.followed("models:/loan@champion") == "loan@champion"
    assert known.version("models:/loan/9") == ("loan", "9")
    for text in ("loan", "models:/loan/Staging", "runs:/r/model", "loan@nobody"):
        with pytest.raises(RegistryUnavailable, match=f"which version {text} means"):
            known.version(text)
