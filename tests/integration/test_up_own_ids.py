"""Ids of callers outlive the service: their home knows them when it is started again."""

from __future__ import annotations

from pathlib import Path

from modelway.endpoints.endpoint import Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up
from support.live import Answer


def _asked(up: Up, value: float) -> Answer:
    headers = {"modelway-prediction-id": "order-1"}
    return up.ask("/models/sums/predict", payload={"a": value}, headers=headers)


def test_an_id_belongs_to_its_inputs_also_after_a_second_start(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control, Homes() as homes:
        linked(control, tmp_path, {"1": STEADY.format(number=1)})
        moved(control, "1")
        control.rollouts.create(Endpoint("sums", "rule@champion"), "ann")
        first = homes.up(tmp_path, "--no-mlflow")
        assert list(tmp_path.rglob("own-ids")), "it would be made while the first answer waits"
        assert _asked(first, 1.0).status == 200
        assert first.stop() == 0
        second = homes.up(tmp_path, "--no-mlflow")
        assert _asked(second, 2.0).status == 409
        assert _asked(second, 1.0).status == 200
        assert second.stop() == 0
        found = second.cli_json("trace", "order-1", "--replay")
        assert found["replay"]["outcome"] == "identical"
