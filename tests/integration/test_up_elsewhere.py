"""Two ``modelway up`` on one store whose bundles are behind a URL, on a real S3 server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from modelway.composition.control import Control
from modelway.endpoints.endpoint import Endpoint
from support.canaries import STEADY, controlled, linked, moved
from support.homes import HOME, Homes, Up, wait_until
from support.objects import ObjectStore
from support.patience import promised
from support.stores import SERVERS, empty_database

REACHES_S = promised(2.0)
REFUSED = 2

pytestmark = pytest.mark.services


class Hosts:
    """Hosts that share a store and a bucket, each with a home of its own."""

    def __init__(self, folder: Path, store: str, bundles: str, objects: ObjectStore) -> None:
        self.folder, self.store, self.bundles, self.objects = folder, store, bundles, objects
        self._homes = Homes()

    def up(self, name: str, *words: str, **options: bool) -> Up:
        """A host by its name, begun again if it has ended."""
        (self.folder / name).mkdir(exist_ok=True)
        words = (*words, "--store", self.store, "--no-mlflow")
        return self._homes.up(
            self.folder / name, *words, environment=self.environment, workers=1, **options
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What hosts and commands know of the S3 server."""
        return self.objects.environment

    def control(self, name: str) -> Control:
        """The home of a host, opened beside it."""
        return controlled(
            self.folder / name / HOME, store__url=self.store, bundles__url=self.bundles
        )

    def close(self) -> None:
        """End all."""
        self._homes.__exit__()


@pytest.fixture(params=SERVERS)
def hosts(
    request: pytest.FixtureRequest, place_url: str, objects: ObjectStore, tmp_path: Path
) -> Iterator[Hosts]:
    """Nothing runs yet; the first host has built two versions, and an endpoint follows one."""
    with empty_database(request.param, tmp_path) as store:
        hosts = Hosts(tmp_path, store, place_url, objects)
        with hosts.control("first") as control:
            linked(control, tmp_path, {n: STEADY.format(number=n) for n in ("1", "2")})
            moved(control, "1")
            control.rollouts.create(Endpoint("rule", "rule@champion"), "ann")
        try:
            yield hosts
        finally:
            objects.way.mend()
            hosts.close()


def version(up: Up) -> str:
    answer = up.ask("/models/rule/predict", payload={"a": 1})
    return answer.headers.get("modelway-version", "") if answer.status == 200 else ""


def test_what_one_host_has_bundled_answers_on_the_other(hosts: Hosts) -> None:
    first = hosts.up("first", "--bundles", hosts.bundles)
    second = hosts.up("second", "--bundles", hosts.bundles)
    assert version(first) == "1"
    wait_until(lambda: version(second) == "1", 30, second.log.read_text)
    with hosts.control("first") as control:
        control.registered.share(control.store.links.digest("rule", "2") or "")
        moved(control, "2")
    moved_s = time.monotonic()
    for up in (first, second):
        wait_until(lambda up=up: version(up) == "2", 20, up.log.read_text)  # type: ignore[misc] # bound
    reached_s = time.monotonic() - moved_s
    print(f"version 2, built by the first, answered on the second after {reached_s:.2f} s")
    assert reached_s < REACHES_S
    hosts.objects.way.sever()
    assert [version(up) for up in (first, second)] == ["2", "2"]
    assert second.stop() == 0
    begun = time.monotonic()
    again = hosts.up("second", "--bundles", hosts.bundles)
    assert version(again) == "2"
    print(f"without S3 it began again in {time.monotonic() - begun:.2f} s")


@pytest.mark.parametrize("hosts", ["postgresql"], indirect=True)  # records are in neither
def test_records_of_all_hosts_are_asked_of_any(hosts: Hosts) -> None:
    words = ("--bundles", hosts.bundles, "--records", f"{hosts.bundles}/records")
    ups = [hosts.up(name, *words) for name in ("first", "second")]
    for up in ups:
        wait_until(lambda up=up: version(up) == "1", 30, up.log.read_text)  # type: ignore[misc] # bound
    ids = []
    for up in ups:
        answer = up.ask("/models/rule/predict", payload={"a": 1})
        ids.append(answer.headers["modelway-prediction-id"])
        up.process.terminate()
        assert up.process.wait(60) == 0
    first = hosts.up("first", *words)
    own = ("--store", hosts.store, *words)
    (shown,) = first.cli_json("record", "show", ids[0], *own)
    assert shown["prediction_id"] == ids[0]

    def found(up: Up) -> bool:
        sql = f"select count(*) from predictions where prediction_id in ('{ids[0]}', '{ids[1]}')"
        return bool(up.cli_json("record", "query", sql, *own)["rows"] == [[2]])

    # What has ended has sent all that it had, and need not come back for it.
    wait_until(lambda: found(first), 20, first.log.read_text)
    second = hosts.up("second", *words)
    assert found(second)
    wanted = ("--column", "prediction_id", "--value", ids[1], "--yes")
    gone = first.cli_json("record", "erase", *wanted, *own)
    assert gone["records"] == 1
    assert not found(second)


@pytest.mark.parametrize("hosts", ["postgresql"], indirect=True)  # records are in neither
def test_a_place_that_cannot_be_one_is_refused_at_the_start(hosts: Hosts) -> None:
    refused = hosts.up("first", "--records", "memory://x", ready=False)
    assert refused.process.wait(60) == REFUSED
    assert "records.url: memory://x is no place" in refused.log.read_text()


def test_a_host_whose_bundles_others_cannot_see_is_refused_while_they_are_there(
    hosts: Hosts,
) -> None:
    first = hosts.up("first")
    refused = hosts.up("second", ready=False)
    assert refused.process.wait(60) == REFUSED
    said = refused.log.read_text()
    assert str(first.home / "bundles") in said
    assert str(refused.home / "bundles") in said
    assert "say the same --bundles URL on every host" in said
    elsewhere = hosts.up("second", "--bundles", hosts.bundles, ready=False)
    assert elsewhere.process.wait(60) == REFUSED
    assert first.stop() == 0
    second = hosts.up("second", "--bundles", hosts.bundles)
    refused = hosts.up("first", ready=False)
    assert refused.process.wait(60) == REFUSED
    assert second.stop() == 0
    assert version(hosts.up("first")) == "1"
