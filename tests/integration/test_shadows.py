"""Shadows of a real service: a rule in Python beside a model, seen, recorded and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelway.endpoints.endpoint import Endpoint
from support.canaries import controlled, linked_bundle, moved
from support.homes import HOME, Homes, Up, wait_until
from support.live import modelway
from support.loans import COLUMNS, loan_rows

RULE = """
def granted(ApplicantIncome: int, Gender: str | None) -> str:
    if Gender is None:
        raise ValueError("who asks?")
    return "Y" if ApplicantIncome > 4000 else "N"
"""
JUDGED_S = 60.0


@dataclass
class Asked:
    """A service with a shadow, and what it has answered to which rows."""

    up: Up
    rows: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    digest: str

    def recorded(self, columns: str, where: str) -> list[list[Any]]:
        """Of the records of the shadow."""
        sql = f"select {columns} from predictions where role = 'shadow' and {where}"
        found: list[list[Any]] = self.up.cli_json("record", "query", sql)["rows"]
        return found


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, loan_bundle: Path) -> Iterator[Asked]:
    """A model of loans, with a rule as its shadow that takes two of its columns."""
    folder = tmp_path_factory.mktemp("up")
    (folder / "rules.py").write_text(RULE)
    modelway("bundle", "build", "rules.py:granted", "-o", "rule", folder=folder)
    with controlled(folder / HOME) as control, Homes() as homes:
        linked_bundle(control, loan_bundle, "loan", "1")
        digest = linked_bundle(control, folder / "rule", "rule", "1")
        moved(control, "1", "loan")
        control.rollouts.create(Endpoint("loan", "loan@champion"), "ann")
        up = homes.up(folder, "--no-mlflow")
        wait_until(lambda: _followed(up) == 1, told=up.log.read_text)
        up.cli("endpoint", "shadow", "loan", "rule:1")
        wait_until(lambda: _followed(up) == 2, told=up.log.read_text)
        table = loan_rows()[COLUMNS].astype(object)
        rows: Any = table.where(pd.notna(table), None).to_dict("records")
        answers = []
        for row in rows:
            answer = up.ask("/models/loan/predict", payload=row)
            assert answer.status == 200, answer.body
            assert isinstance(answer.json, dict)
            answers.append(answer.json)
        told = "select count(*) from predictions where endpoint = 'loan' and role = 'shadow'"
        wait_until(lambda: up.cli_json("record", "query", told)["rows"] == [[len(rows)]])
        yield Asked(up, rows, answers, digest)


def _followed(up: Up) -> int:
    """How often every worker has followed a change."""
    return up.log.read_text().count("endpoint follows")


def test_what_a_rule_answers_is_recorded_with_the_live_answers_id(asked: Asked) -> None:
    found = {
        id: (prediction, digest, model)
        for id, prediction, digest, model in asked.recorded(
            "prediction_id, prediction, digest, model", "status = 'ok'"
        )
    }
    wanted = {
        answer["prediction_id"]: (
            "Y" if row["ApplicantIncome"] > 4000 else "N",
            asked.digest,
            "rule",
        )
        for row, answer in zip(asked.rows, asked.answers, strict=True)
        if row["Gender"] is not None
    }
    assert found == wanted
    assert len({prediction for prediction, *_ in found.values()}) == 2


def test_what_a_rule_cannot_answer_is_recorded_as_its_failure(asked: Asked) -> None:
    found = asked.recorded("prediction_id, status", "status <> 'ok'")
    failed = {
        answer["prediction_id"]
        for row, answer in zip(asked.rows, asked.answers, strict=True)
        if row["Gender"] is None
    }
    assert failed
    assert {(id, status) for id, status in found} == {(id, "predict-failed") for id in failed}
    assert {one["version"] for one in asked.answers} == {"1"}


def test_a_rule_is_compared_with_the_model(asked: Asked) -> None:
    disagreeing = sum(
        answer["prediction"] != ("Y" if row["ApplicantIncome"] > 4000 else "N")
        for row, answer in zip(asked.rows, asked.answers, strict=True)
        if row["Gender"] is not None
    )
    compared = sum(row["Gender"] is not None for row in asked.rows)

    def evidence() -> dict[str, Any]:
        verdict: Any = asked.up.administer("GET", "/endpoints/loan/verdict").json
        return {
            one["metric"]: (one, judged)
            for judged in verdict["verdicts"]
            for one in judged["verdict"]["evidence"]
        }

    wait_until(lambda: "disagreement" in evidence(), JUDGED_S, evidence)
    shown, judged = evidence()["disagreement"]
    assert shown["estimate"] == pytest.approx(disagreeing / compared)
    assert (judged["reference"], judged["version"]) == ("rule:1", asked.digest)
    assert judged["candidate"]["requests"] == judged["live"]["requests"] == len(asked.rows)
    assert judged["candidate"]["errors"] == len(asked.rows) - compared
