"""Who would rather be answered later is answered now where the store of jobs is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelway.composition.job_keeping import stored_jobs
from modelway.composition.plan import JobPlan
from modelway.rest.app import create_app
from modelway.rest.uploads import REFERENCE
from modelway.settings import RestSettings
from support.asgi import asking
from support.homes import free_port
from support.live import Ask
from support.served import FLOWER, compiled_bundle, flower_graph, loaded, plane_of

PATH = "/models/flower/predict"
ROW = {"sepal_length": 5.0, "petal_width": 0.2}
PREFER = {"prefer": "respond-async, wait=5"}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """A service that answers, whose store cannot be reached."""
    bundle = compiled_bundle(tmp_path / "flower", flower_graph(), FLOWER, classes=(0, 1, 2))
    store = f"postgresql://nobody@127.0.0.1:{free_port()}/jobs"
    app = create_app(
        plane_of([loaded(bundle, "flower")]),
        RestSettings(),
        pages={},
        templates={},
        output_names={},
        jobs=stored_jobs(JobPlan(store, 60.0, 60, 1_000_000)),
    )
    return asking(app)


def test_what_is_only_preferred_is_no_reason_to_fail(ask: Ask) -> None:
    expected: Any = ask(PATH, payload=ROW)
    assert expected.status == 200
    for _ in range(2):
        answer: Any = ask(PATH, payload=ROW, headers=PREFER)
        assert (answer.status, "preference-applied" in answer.headers) == (200, False)
        assert answer.json["prediction"] == expected.json["prediction"]


def test_what_only_a_job_gives_is_not_given_without_one(ask: Ask) -> None:
    keyed = {**PREFER, "idempotency-key": '"a"'}
    assert ask(PATH, payload=ROW, headers=keyed).status == 503
    named = {**PREFER, "content-type": REFERENCE.decode()}
    assert ask(PATH, payload={"upload": "a"}, headers=named).status == 503
    assert ask("/models/flower/jobs", payload=ROW).status == 503
