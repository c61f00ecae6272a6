"""Jobs of ``modelway up``, from 202 to the answer, also while workers are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelway.endpoints.endpoint import Endpoint
from modelway.jobs import calling_back
from support.canaries import NUMBERS, PAUSING, STEADY, controlled, linked, linked_bundle, moved
from support.homes import HOME, Homes, Up, cli, copied, free_port, wait_until
from support.job_flow import (
    DONE_S,
    asked,
    check_ended_once_while_killing,
    ended,
    paused,
    row,
    submitted,
    without_ids,
)
from support.jobs import lease, new_job
from support.live import MODELWAY, ask
from support.once import Once
from support.served import function_bundle
from support.stores import empty_database
from support.trained import follow_tutorial
from support.webhooks import SECRET, called

N_JOBS = 500
FAILING = """def rule(a):
    if a == 7:
        raise ValueError(f"the row {a} of /srv/private")
    return a
"""
KILLING = """import os


def rule(a):
    if a == 0:
        os.abort()
    return a
"""

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def trained(once: Once) -> Path:
    """The folder in which the tutorial was followed; nobody may change it."""
    return once("trained-home", follow_tutorial)


@pytest.fixture(scope="module")
def up(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A service on the embedded store."""
    folder = copied(trained, tmp_path_factory.mktemp("jobs"))
    with Homes() as homes:
        yield homes.up(folder, "--no-mlflow")


def test_a_job_is_answered_as_predict_answers(up: Up) -> None:
    for payload in (row(3), [row(k) for k in range(7)]):
        taken = submitted(up, payload)
        assert taken.status == 202
        job = taken.json
        assert taken.headers["location"] == f"/jobs/{job['id']}"
        assert int(taken.headers["retry-after"]) >= 1
        assert (job["done"], job["state"]) == (False, "queued")
        assert job["metadata"]["position"] >= 1
        done = ended(up, job["id"])
        expected = asked(up, "/models/iris/predict", payload=payload)
        assert without_ids(done["response"]) == without_ids(expected.json)
        assert done["metadata"]["attempt"] == 1
        result = asked(up, f"/jobs/{job['id']}/result")
        assert (result.status, result.json) == (200, done["response"])
        for name in ("modelway-endpoint", "modelway-version"):
            assert result.headers[name] == expected.headers[name]
        assert result.headers["modelway-prediction-id"] == job["id"]
        (first, *_) = done["response"] if isinstance(payload, list) else [done["response"]]
        assert first["prediction_id"].partition(":")[0] == job["id"]
        wait_until(partial(recorded, up, job["id"]))


def recorded(up: Up, id: str) -> bool:
    """Whether there is a record of a prediction."""
    return up.administer("GET", f"/records/{id}").status == 200


def test_what_does_not_fit_is_refused_at_once(up: Up) -> None:
    refused = submitted(up, {"sepal_length": "long"})
    assert (refused.status, refused.json["code"]) == (422, "signature-mismatch")
    for priority in ("10", "-1", "0" * 5000):
        assert submitted(up, row(0), modelway_priority=priority).status == 400
    assert asked(up, f"/jobs?limit={'1' * 5000}").status == 400
    assert submitted(up, row(0), idempotency_key="a b").status == 400
    callback = submitted(up, row(0), modelway_callback="https://hooks.example.com/jobs")
    assert (callback.status, callback.json["code"]) == (422, "callback-refused")
    assert "no callbacks are allowed here" in callback.json["detail"]
    unknown = asked(up, "/models/nobody/jobs", payload=row(0))
    assert (unknown.status, unknown.json["code"]) == (404, "endpoint-not-found")
    missing = asked(up, "/jobs/absent")
    assert (missing.status, missing.json["code"]) == (404, "job-not-found")


def test_one_key_is_one_job(up: Up) -> None:
    first = submitted(up, row(1), idempotency_key='"order-1"')
    again = submitted(up, row(1), idempotency_key='"order-1"')
    other = submitted(up, row(2), idempotency_key='"order-1"')
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert again.json["id"] == first.json["id"]
    assert other.json["code"] == "idempotency-key-reused"


def test_an_id_is_of_one_prediction_or_of_one_job(up: Up) -> None:
    own = {"modelway-prediction-id": "order-2"}
    assert submitted(up, row(1), modelway_prediction_id="order-2").status == 202
    other = asked(up, "/models/iris/predict", payload=row(2), headers=own)
    assert (other.status, other.json["code"]) == (409, "idempotency-mismatch")
    assert asked(up, "/models/iris/predict", payload=row(1), headers=own).status == 200
    own = {"modelway-prediction-id": "order-3"}
    assert asked(up, "/models/iris/predict", payload=row(1), headers=own).status == 200
    other = submitted(up, row(2), modelway_prediction_id="order-3")
    assert (other.status, other.json["code"]) == (409, "idempotency-mismatch")


def test_the_answer_is_in_the_format_that_was_asked_for(up: Up) -> None:
    rows = [row(k) for k in range(3)]
    taken = submitted(up, rows, accept="text/csv")
    done = ended(up, taken.json["id"])
    assert "response" not in done
    result = asked(up, f"/jobs/{done['id']}/result")
    assert result.headers["content-type"] == "text/csv; charset=utf-8"
    expected = asked(up, "/models/iris/predict", payload=rows, headers={"accept": "text/csv"})
    cut = [line.split(",")[:-1] for line in result.body.decode().splitlines()]
    assert cut == [line.split(",")[:-1] for line in expected.body.decode().splitlines()]
    path = f"/jobs/{done['id']}/result"
    assert asked(up, path, headers={"accept": "application/json"}).status == 406
    in_json = ended(up, submitted(up, rows).json["id"])
    turned = asked(up, f"/jobs/{in_json['id']}/result", headers={"accept": "text/csv"})
    assert turned.headers["content-type"] == "text/csv; charset=utf-8"
    assert [line.split(",")[:-1] for line in turned.body.decode().splitlines()] == cut


def test_jobs_are_listed_by_state_and_page(up: Up) -> None:
    ids = [submitted(up, row(k)).json["id"] for k in range(5)]
    for one in ids:
        ended(up, one)
    found, before = [], ""
    while True:
        page = asked(up, f"/jobs?state=succeeded&model=iris&limit=2{before}").json
        found += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert found[:5] == ids[::-1]
    assert len(set(found)) == len(found)
    assert asked(up, "/jobs?state=nothing").status == 400


def test_erasing_a_value_removes_the_jobs_that_were_asked_with_it(up: Up) -> None:
    hers = {**row(1), "sepal_width": 4711.5}
    gone, left = (submitted(up, one).json["id"] for one in (hers, row(1)))
    for id in (gone, left):
        ended(up, id)
        wait_until(partial(recorded, up, id))
    erase = ("record", "erase", "--column", "sepal_width", "--value", "4711.5", "--yes")
    removed = {"records": 1, "predictions": 1, "labels": 0, "jobs": 1}
    assert up.cli_json(*erase) == removed
    for path in (f"/jobs/{gone}", f"/jobs/{gone}/result"):
        assert asked(up, path).json["code"] == "job-not-found"
    assert asked(up, f"/jobs/{left}/result").status == 200
    assert up.cli_json(*erase) == dict.fromkeys(removed, 0)


def preferring(up: Up, prefer: str, path: str = "/models/iris/predict", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asked(up, path, payload=row(5), headers={"prefer": prefer, **named})


def test_a_caller_may_prefer_to_be_answered_later(up: Up) -> None:
    expected = asked(up, "/models/iris/predict", payload=row(5)).json
    taken = preferring(up, "respond-async")
    assert taken.status == 202
    assert taken.headers["preference-applied"] == "respond-async"
    assert taken.headers["location"] == f"/jobs/{taken.json['id']}"
    assert without_ids(ended(up, taken.json["id"])["response"]) == without_ids(expected)
    version = asked(up, "/models/iris").json["version"]
    for path in (
        *("/models/iris/predict", "/predict"),
        f"/models/iris/versions/{version}/predict",
    ):
        answer = preferring(up, "wait=50, respond-async", path)
        assert answer.status == 200
        assert answer.headers["preference-applied"] == "respond-async, wait=50"
        assert answer.headers["modelway-version"] == version
        assert without_ids(answer.json) == without_ids(expected)
        job = asked(up, f"/jobs/{answer.headers['modelway-prediction-id']}").json
        assert (job["state"], job["response"]) == ("succeeded", answer.json)
        assert job["metadata"].get("version") == (version if "versions" in path else None)
    for ignored in ("wait=5", "return=minimal", "respond-asynchronously"):
        answer = preferring(up, ignored)
        assert answer.status == 200
        assert "preference-applied" not in answer.headers
    refused = asked(
        up, "/models/iris/predict", payload={}, headers={"prefer": "respond-async, wait=5"}
    )
    assert (refused.status, refused.json["code"]) == (422, "signature-mismatch")


def test_a_caller_who_repeats_it_is_given_the_same_answer(up: Up) -> None:
    prefer = "respond-async, wait=50"
    first, again = (preferring(up, prefer, idempotency_key='"wait-1"') for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert again.json == first.json


def test_nobody_waits_for_longer_than_the_request_lasts(up: Up) -> None:
    began_s = time.monotonic()
    answer = preferring(up, "respond-async, wait=50", modelway_timeout_ms="1")
    assert answer.status in (200, 202, 504)  # at the end of a millisecond it may be any of them
    assert time.monotonic() - began_s < 25


def test_a_job_may_be_for_one_version(up: Up) -> None:
    version = asked(up, "/models/iris").json["version"]
    taken = asked(up, f"/models/iris/versions/{version}/jobs", payload=row(4))
    assert taken.status == 202
    done = ended(up, taken.json["id"])
    assert done["metadata"]["version"] == version
    assert done["response"]["version"] == version
    unknown = asked(up, "/models/iris/versions/99/jobs", payload=row(4))
    assert unknown.status == 404
    key = {"idempotency-key": '"version-1"'}
    asked(up, "/models/iris/jobs", payload=row(4), headers=key)
    other = asked(up, f"/models/iris/versions/{version}/jobs", payload=row(4), headers=key)
    assert (other.status, other.json["code"]) == (422, "idempotency-key-reused")


def test_the_classic_flow_asks_and_looks_at_one_path(up: Up) -> None:
    expected = asked(up, "/models/iris/predict", payload=row(6)).json
    for path in ("/process", "/process?model=iris"):
        taken = asked(up, path, payload=row(6))
        assert taken.status == 202
        id = taken.json["id"]
        ended(up, id)
        found = asked(up, f"/process?id={id}")
        assert found.json == asked(up, f"/jobs/{id}").json
        assert without_ids(found.json["response"]) == without_ids(expected)
    assert asked(up, "/process?model=nobody", payload=row(6)).status == 404
    assert asked(up, "/process?id=absent").status == 404
    for path in ("/process", "/process?job=1"):
        assert asked(up, path).status == 400


def test_who_asked_for_it_is_told_of_the_end(tmp_path: Path, trained: Path) -> None:
    folder = copied(trained, tmp_path / "host")
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with called() as server, Homes() as homes:
        environment = {
            "MODELWAY__JOBS__CALLBACKS": server.url(),
            "MODELWAY__JOBS__CALLBACK_SECRET": str(secret),
        }
        refused = cli(
            folder, "up", "--no-mlflow", exit_code=2, environment={"MODELWAY__JOBS__CALLBACKS": "a"}
        )
        assert "jobs.callbacks" in refused.stderr
        up = homes.up(folder, "--no-mlflow", environment=environment)
        server.answers = [503]
        taken = submitted(up, row(2), modelway_callback=server.url("/hooks/7?token=hidden"))
        assert taken.status == 202
        job = ended(up, taken.json["id"])

        def tried() -> Any:
            (callback,) = up.cli_json("job", "show", job["id"])["callbacks"]
            return callback

        wait_until(lambda: tried()["error"] is not None, DONE_S)
        for (pid,) in [up.children()["tend"]]:
            os.kill(pid, signal.SIGKILL)  # whoever takes its place calls back
        # It may have been killed while it called again: then that is left to it for a lease.
        wait_until(lambda: tried()["told"], calling_back._LEASE_S + DONE_S, tried)
        assert tried()["tries"] >= len(server.calls) >= 2
        for call in server.calls:
            assert (call.path, call.is_signed()) == ("/hooks/7?token=hidden", True)
            assert (call.json["type"], call.json["data"]) == ("job.succeeded", job)
        assert "/hooks/7" in up.cli("job", "show", job["id"]).stdout
        assert [one["callback"] for one in up.cli_json("job", "list")] == [server.url("/hooks/7")]
        other = submitted(up, row(2), modelway_callback=server.url("/other"))
        assert (other.status, other.json["code"]) == (422, "callback-refused")


REFERENCE = "application/vnd.modelway.upload+json"
CSV = {"content-type": "text/csv"}


def test_what_was_sent_once_is_named_by_many_jobs(up: Up) -> None:
    lines = [list(row(0)), *(row(k).values() for k in range(3))]
    body = "".join(",".join(map(str, line)) + "\n" for line in lines).encode()
    kept = asked(up, "/uploads", body=body, headers=CSV)
    assert (kept.status, kept.json["bytes"]) == (201, len(body))
    reference = {"content-type": REFERENCE}
    named: Any = {"payload": {"upload": kept.json["id"]}, "headers": reference}
    version = asked(up, "/models/iris").json["version"]
    expected = asked(up, "/models/iris/predict", body=body, headers=CSV)
    cut = [line.split(b",")[:-1] for line in expected.body.splitlines()]
    for path in ("/models/iris/jobs", f"/models/iris/versions/{version}/jobs", "/process"):
        taken = asked(up, path, **named)
        assert taken.status == 202
        done = ended(up, taken.json["id"])
        result = asked(up, f"/jobs/{done['id']}/result")
        assert [line.split(b",")[:-1] for line in result.body.splitlines()] == cut
    unknown = asked(up, "/models/iris/jobs", payload={"upload": "absent"}, headers=reference)
    assert (unknown.status, unknown.json["code"]) == (404, "upload-not-found")
    wrong: Any
    for wrong in ({"upload": 7}, {"id": "a"}, ["a"]):
        refused = asked(up, "/models/iris/jobs", payload=wrong, headers=reference)
        assert (refused.status, refused.json["code"]) == (400, "malformed-payload")
    strange = asked(up, "/uploads", body=b"a,b\n1,2\n", headers=CSV).json["id"]
    refused = asked(up, "/models/iris/jobs", payload={"upload": strange}, headers=reference)
    assert (refused.status, refused.json["code"]) == (422, "signature-mismatch")
    assert asked(up, "/predict", **named).status == 422  # it is for jobs alone
    waits = asked(up, "/models/iris/jobs", **named).json["id"]
    assert asked(up, f"/uploads/{kept.json['id']}", method="DELETE").status == 204
    assert asked(up, "/models/iris/jobs", **named).json["code"] == "upload-not-found"
    assert ended(up, waits)["state"] == "succeeded"


def numbers(answer: Any) -> dict[str, float]:
    """What Prometheus reads, by series."""
    lines = answer.body.decode().splitlines()
    series = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in series}


def test_jobs_are_counted_where_prometheus_looks(up: Up) -> None:
    id = submitted(up, row(7)).json["id"]
    ended(up, id)

    def counted() -> bool:
        found = numbers(up.administer("GET", "/metrics"))
        answered = found.get('modelway_job_attempts_total{endpoint="iris",outcome="succeeded"}', 0)
        return answered >= 1 and found.get('modelway_jobs{endpoint="iris",state="queued"}') == 0

    wait_until(counted, DONE_S, lambda: numbers(up.administer("GET", "/metrics")))


def test_a_worker_of_its_own_shows_what_it_counts(tmp_path: Path, trained: Path) -> None:
    folder = copied(trained, tmp_path / "host")
    port = free_port()
    with controlled(folder / HOME) as control:
        answered = next(one.name for one in control.store.endpoints.current())
        asked_for = [
            new_job(content=json.dumps(row(k)).encode(), endpoint=answered) for k in (1, 2)
        ]
        control.store.jobs.enqueue(asked_for)
        with (folder / "worker.log").open("w") as log:
            command = [*MODELWAY, "worker", "--metrics-port", str(port)]
            worker = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            name = f'modelway_job_attempts_total{{endpoint="{answered}",outcome="succeeded"}}'

            def counted() -> bool:
                try:
                    found = numbers(ask(f"http://127.0.0.1:{port}/metrics"))
                except OSError:
                    return False
                return found.get(name) == 2

            wait_until(counted, DONE_S, lambda: (folder / "worker.log").read_text())
            assert ask(f"http://127.0.0.1:{port}/models").status == 401
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0


@pytest.mark.parametrize("store", ["sqlite", "postgresql", "mariadb"])
def test_every_job_ends_once_while_workers_are_killed(tmp_path: Path, store: str) -> None:
    environment = {"MODELWAY__JOBS__LEASE_S": "1", "MODELWAY__JOBS__ATTEMPTS": "20"}
    with empty_database(store, tmp_path) as url, Homes() as homes:
        paused(tmp_path / HOME, url)
        up = homes.up(tmp_path, "--no-mlflow", "--store", url, environment=environment)
        check_ended_once_while_killing(up, url, tmp_path, environment, N_JOBS)


def test_a_job_that_kills_its_workers_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": KILLING})
        control.rollouts.create(Endpoint("rule", "rule:1"), "ann")
        jobs = [new_job(f"j{k}", endpoint="rule", content=b'{"a": %d}' % k) for k in range(12)]
        control.store.jobs.enqueue(jobs)
    environment = {"MODELWAY__JOBS__LEASE_S": "1", "MODELWAY__JOBS__ATTEMPTS": "3"}
    with Homes() as homes:
        up = homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)
        ends = [ended(up, one.id) for one in jobs]
    assert [one["state"] for one in ends] == ["failed", *["succeeded"] * 11]
    assert ends[0]["error"]["code"] == "model-crashed"


def test_what_a_killed_service_had_leased_is_answered_by_the_next(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": STEADY.format(number=1)})
        moved(control, "1")
        control.rollouts.create(Endpoint("good", "rule@champion"), "ann")
        control.store.jobs.enqueue([new_job("left", endpoint="good", content=b'{"a": 3}')])
        assert len(lease(control.store, 1, "good", lease_s=0.5)) == 1
    with Homes() as homes:
        up = homes.up(tmp_path, "--no-mlflow", workers=1)
        job = ended(up, "left")
        assert (job["state"], job["metadata"]["attempt"]) == ("succeeded", 2)


def test_work_of_any_length_is_answered_and_says_how_far_it_is(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        source = PAUSING.format(seconds=0.02)
        bundle = function_bundle(tmp_path / "slow", source, "rule", NUMBERS, row_wise=True)
        linked_bundle(control, bundle, "slow", "1")
        control.rollouts.create(Endpoint("slow", "slow:1"), "ann")
    with Homes() as homes:
        # No request would be answered in that time, and nobody waits for a job.
        environment = {"MODELWAY__INFERENCE__DEADLINE_S": "3", "MODELWAY__JOBS__LEASE_S": "2"}
        up = homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)
        rows = [{"a": k} for k in range(250)]
        taken = [asked(up, "/models/slow/jobs", payload=rows) for _ in range(2)]
        assert [one.status for one in taken] == [202, 202], taken
        job, unwanted = (one.json for one in taken)
        assert job["metadata"]["progress"] == {"rows": 250, "rows_done": 0}
        seen = watched(up, job["id"])
        assert seen[-1] == 250
        assert seen == sorted(seen)
        assert len(set(seen) - {0, 250}) >= 2
        answers = asked(up, f"/jobs/{job['id']}/result").json
        assert [one["prediction"] for one in answers] == [float(k) for k in range(250)]
        assert asked(up, f"/jobs/{unwanted['id']}", method="DELETE").json["state"] == "cancelled"


def watched(up: Up, job_id: str) -> list[int]:
    """How far a job was each time that somebody looked, until it succeeded."""
    seen: list[int] = []

    def look() -> bool:
        job = asked(up, f"/jobs/{job_id}").json
        seen.append(job["metadata"]["progress"]["rows_done"])
        return bool(job["state"] == "succeeded")

    wait_until(look, DONE_S, lambda: seen)
    return seen


def check_reason_is_kept_from_callers(up: Up) -> None:
    """What a model raised has the caller's values and paths of the host in it."""
    (job,) = asked(up, "/jobs?model=bad").json["jobs"]
    id = job["id"]
    for path in ("/jobs?model=bad", f"/jobs/{id}", f"/jobs/{id}/result", f"/process?id={id}"):
        answer = asked(up, path)
        assert f"modelway job show {id}" in answer.body.decode()
        assert b"/srv/private" not in answer.body
    assert "the row 7.0 of /srv/private" in up.cli("job", "show", id).stdout


def test_who_waits_in_vain_is_told_where_the_answer_will_be(tmp_path: Path) -> None:
    with controlled(tmp_path / HOME) as control:
        linked(control, tmp_path, {"1": PAUSING.format(seconds=15)}, "slow")
        linked(control, tmp_path / "bad", {"1": FAILING}, "bad")
        for name in ("slow", "bad"):
            control.rollouts.create(Endpoint(name, f"{name}:1"), "ann")
    with Homes() as homes, ThreadPoolExecutor(1) as pool:
        environment = {"MODELWAY__JOBS__ATTEMPTS": "1", "MODELWAY__SERVE__DRAIN_S": "1"}
        up = homes.up(tmp_path, "--no-mlflow", workers=1, environment=environment)

        def waiting(name: str, wait_s: int) -> Any:
            prefer = {"prefer": f"respond-async, wait={wait_s}"}
            return asked(up, f"/models/{name}/predict", payload={"a": 7}, headers=prefer)

        failed = waiting("bad", 50)
        assert (failed.status, failed.json["code"]) == (500, "predict-failed")
        assert "failed" in failed.json["detail"]
        assert b"/srv/private" not in failed.body
        check_reason_is_kept_from_callers(up)
        late = waiting("slow", 1)
        assert (late.status, late.json["done"]) == (202, False)
        assert late.headers["preference-applied"] == "respond-async, wait=1"
        told = pool.submit(waiting, "slow", 50)
        wait_until(lambda: len(asked(up, "/jobs?model=slow").json["jobs"]) == 2)
        up.stop()
        assert told.result(30).status == 202
    with controlled(tmp_path / HOME) as control:
        assert {late.json["id"], told.result().json["id"]} == {
            one.id for one in control.store.jobs.page(None, "slow", None, 9)
        }
