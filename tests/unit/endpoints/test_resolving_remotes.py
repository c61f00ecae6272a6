"""References to remotes: what they mean, where they may stand, and what is done without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.composition.control import Control
from modelway.domain.errors import InvalidInput, InvalidName
from modelway.endpoints.endpoint import Canary, Endpoint, remote_name
from modelway.endpoints.planned import PlannedEndpoint, PlannedRemote
from modelway.endpoints.rollouts import check
from support.canaries import STEADY, controlled, linked, moved

URL = "http://127.0.0.1:1/v2/models/x"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path / "home", shadows__remotes=f"old={URL}") as opened:
        linked(opened, tmp_path, {"1": STEADY.format(number=1)})
        moved(opened, "1")
        yield opened


@pytest.mark.parametrize(
    ("reference", "name"),
    [("remote:old", "old"), ("remote:a.B-2_c", "a.B-2_c"), ("remote:7", None), ("remote", None)],
)
def test_a_remote_has_a_name_that_no_version_has(reference: str, name: str | None) -> None:
    assert remote_name(reference) == name


def test_only_a_shadow_may_be_remote() -> None:
    check(Endpoint("rule", "rule:1", shadows=("remote:old",)))
    for endpoint in (
        Endpoint("rule", "remote:old"),
        Endpoint("rule", "rule:1", (Canary("remote:old", 0.5),)),
    ):
        with pytest.raises(InvalidName):
            check(endpoint)
    with pytest.raises(InvalidInput, match="in two roles"):
        check(Endpoint("rule", "rule:1", shadows=("remote:old", "remote:old")))


def test_a_remote_is_planned_with_its_address(control: Control) -> None:
    endpoint = Endpoint("rule", "rule@champion", shadows=("remote:old", "rule:1", "remote:gone"))
    control.rollouts.create(endpoint, "ann")
    planned = control.look()["rule"]
    assert isinstance(planned, PlannedEndpoint)
    assert planned.remotes == (PlannedRemote("remote:old", URL),)
    assert [one.version for one in planned.shadows] == ["1"]
    assert planned.missing == (
        "without the shadow remote:gone: no setting says where remote:gone is",
    )
    with pytest.raises(InvalidInput, match="remote:gone") as refused:
        control.resolver().remote("remote:gone")
    assert refused.value.hint == "shadows.remotes names: old"
