"""Operations: what a key may of them, beyond what their routes ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from modelway.access.keys import Key, Scope
from modelway.access.making import new_key
from modelway.access.routes import Concerns, Door, rule_of
from modelway.composition.control import Control
from modelway.composition.key_operations import AUDIT, CREATE, CreateKey, Newest
from modelway.composition.operation_table import OPERATIONS
from modelway.composition.operations import Operation, carried_out
from modelway.domain.errors import Forbidden, InvalidInput
from modelway.settings import load_settings

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


class OfId(msgspec.Struct):
    """What has an id."""

    id: str = "x"


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(load_settings({"bundles.home": tmp_path / "home"}, environment={}))


def key_of(*scopes: Scope, endpoints: tuple[str, ...] = ()) -> Key:
    return new_key("team", scopes, endpoints, 0, NOW)[0]


def test_what_concerns_a_record_says_which_keys_it_is_for() -> None:
    for operation in OPERATIONS:
        rule = rule_of(Door.ADMINISTRATION, operation.method, operation.path)
        assert (operation.confine is not None) == (rule.concerns is Concerns.RECORD), operation.path


def test_what_does_not_say_is_for_no_key_of_some_endpoints(control: Control) -> None:
    silent = Operation("GET", "/records/{id}", OfId, lambda *_: "shown")
    assert carried_out(control, silent, OfId(), "ann", None) == "shown"
    assert carried_out(control, silent, OfId(), "ann", key_of(Scope.READ)) == "shown"
    with pytest.raises(Forbidden):
        carried_out(control, silent, OfId(), "ann", key_of(Scope.READ, endpoints=("loan",)))


def test_the_trail_names_the_key_that_was_made(control: Control) -> None:
    made = carried_out(control, CREATE, CreateKey("ci", ("predict",)), "ann", None)
    with pytest.raises(InvalidInput):
        carried_out(control, CREATE, CreateKey("ci", ("fly",)), "ann", None)
    refused, done = carried_out(control, AUDIT, Newest(), "ann", None)
    assert (done.actor, done.act, done.subject, done.outcome) == ("ann", "key.create", "ci", "done")
    assert msgspec.json.decode(done.detail)["id"] == made.id
    assert made.key.split("_", 2)[2] not in done.detail
    assert refused.outcome == "invalid-input"
