"""``modelway up`` started again: what answered until then goes on where it cannot be as wanted."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from modelway.composition.remembering import Remembered
from modelway.endpoints.endpoint import Endpoint
from modelway.registry.promotions import Kind, Promotion
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, wait_until

ROW = {"a": 3}


def answer(up: Up, name: str) -> object:
    """What an endpoint predicts, None where nothing answers under its name."""
    answered = up.ask(f"/models/{name}/predict", payload=ROW)
    return answered.json["prediction"] if answered.status == 200 else None  # type: ignore[index] # JSON


def remembered(folder: Path) -> dict[str, str]:
    """The endpoints that are written down, and the version that each answered with."""
    found = msgspec.json.decode((folder / HOME / "last.json").read_bytes(), type=Remembered)
    return {one.name: one.live.version for one in found.endpoints}


def test_what_answered_goes_on_over_restarts_until_it_can_be_as_wanted(tmp_path: Path) -> None:
    with Homes() as homes, controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {str(n): STEADY.format(number=n) for n in (1, 2, 3, 4)})
        for name, version in (("lost", "1"), ("early", "2"), ("gone", "3"), ("away", "4")):
            moved(control, version, alias=name)
            control.rollouts.create(Endpoint(name, f"rule@{name}"), "ann")
        first = homes.up(tmp_path, "--no-mlflow", workers=1)
        wait_until(lambda: (tmp_path / HOME / "last.json").exists())
        away = control.registered.folder(control.store.links.digest("rule", "4") or "")
        assert away is not None

        removed = (Kind.NOTICED, "mlflow", "removed", datetime.now(UTC))
        control.store.ledger.append(Promotion("rule", "lost", 2, "1", None, *removed))
        moved(control, "99", alias="early")
        assert first.stop() == 0
        control.rollouts.remove("gone", "ann", "not needed")
        shutil.rmtree(away)

        for _ in range(2):
            up = homes.up(tmp_path, "--no-mlflow", workers=1)
            assert [answer(up, name) for name in ("lost", "early", "gone", "away")] == [
                *(4, 5, None, None)
            ]
            assert {"lost": "1", "early": "2"}.items() <= remembered(tmp_path).items()
            troubles = {one["name"]: one["trouble"] for one in up.cli_json("status")["endpoints"]}
            assert "no bundle" in troubles["early"]
            assert up.stop() == 0

        up = homes.up(tmp_path, "--no-mlflow", workers=1)
        moved(control, "3", alias="early")
        wait_until(lambda: answer(up, "early") == 6)
