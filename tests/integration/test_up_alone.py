"""``modelway up`` without a registry: what is broken stays alone, what is answered is traceable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelway.endpoints.endpoint import Canary, Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, wait_until

ROW = {"a": 3}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A home with a good endpoint, one whose bundle is damaged, and one that cannot be split."""
    folder = tmp_path_factory.mktemp("alone")
    with controlled(folder / HOME) as control:
        rules = {str(number): STEADY.format(number=number) for number in (1, 2, 3)}
        linked(control, folder, rules)
        moved(control, "1")
        control.rollouts.create(Endpoint("good", "rule@champion"), "ann", "the first")
        control.rollouts.create(Endpoint("damaged", "rule:2"), "ann")
        by = "field:nowhere"
        canaries = (Canary("rule:3", 0.5),)
        control.rollouts.create(Endpoint("split", "rule:1", canaries, split_by=by), "ann")
        damaged = control.registered.folder(control.store.links.digest("rule", "2") or "")
        assert damaged is not None
        with (damaged / "signature.json").open("a") as file:
            file.write(" ")
    with Homes() as homes:
        yield homes.up(folder, "--no-mlflow")


def test_what_cannot_be_opened_leaves_the_others_answering_and_is_said(up: Up) -> None:
    assert up.ask("/models/good/predict", payload=ROW).json["prediction"] == 4  # type: ignore[index] # JSON

    def told() -> bool:
        said = {one["name"]: one["trouble"] or "" for one in up.cli_json("status")["endpoints"]}
        return "digest" in said["damaged"] and "nowhere" in said["split"] and not said["good"]

    wait_until(told, 15)
    assert up.ask("/models/damaged/predict", payload=ROW).status == 404


def test_a_start_that_takes_its_time_is_no_trouble(up: Up) -> None:
    assert "no worker answers" not in up.log.read_text()


def test_what_is_mended_answers(up: Up) -> None:
    up.cli("endpoint", "set", "split", "--split-by", "field:a", "--why", "mended")
    wait_until(lambda: up.ask("/models/split/predict", payload=ROW).status == 200, 10)
    answers: list[Any] = [up.ask("/models/split/predict", payload=ROW).json for _ in range(8)]
    assert {one["prediction"] for one in answers} in ({4}, {6})  # by one row, rule 1 or rule 3


def test_an_answer_is_traced_to_who_put_it_there_and_replayed(up: Up) -> None:
    answered = up.ask("/models/good/predict", payload={"a": 0.1})
    id = answered.headers["modelway-prediction-id"]
    found = up.cli_json("trace", id, "--replay")
    assert (found["endpoint"], found["role"]) == ("good", "live")
    assert (found["model"], found["version"]) == ("rule", "1")
    assert found["inputs"] == {"a": [0.1]}
    assert found["outputs"]["prediction"] == [1.1]
    assert found["placement"]["promotion"]["actor"] == "ann"
    assert found["placement"]["promotion"]["why"] == "it is better"
    assert found["placement"]["revision"]["why"] == "the first"
    assert any("registry" in sentence for sentence in found["missing"])
    assert (found["replay"]["outcome"], found["replay"]["differing"]) == ("identical", 0)
    # The same over the administration API.
    asked = up.administer("POST", f"/trace/{id}/replay")
    assert asked.json["outcome"] == "identical"  # type: ignore[index] # JSON


def test_a_refused_request_is_recorded_and_cannot_be_replayed(up: Up) -> None:
    refused = up.ask("/models/good/predict", payload={"a": "abc"})
    assert refused.status == 422
    wait_until(
        lambda: (
            up.cli_json("record", "query", "select status from predictions where status <> 'ok'")[
                "rows"
            ]
            != []
        ),
        10,
    )
