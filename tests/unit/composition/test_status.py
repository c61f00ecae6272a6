"""What a home says of itself, also while its store is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.cli.main import run
from modelway.composition.operating import Target
from modelway.composition.status import roles_of, status_of
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedRemote, PlannedVersion
from modelway.settings import load_settings


def test_every_role_is_shown_by_what_answers() -> None:
    live, other = (PlannedVersion(f"/bundles/{n}{n}", n, "loan") for n in ("1", "2"))
    remote = PlannedRemote("remote:old", "http://127.0.0.1:1/v2/models/loan")
    endpoint = PlannedEndpoint(
        "loan", live, canaries=(PlannedCanary(other, 0.25),), shadows=(other,), remotes=(remote,)
    )
    assert [(one.reference, one.role, one.digest, one.weight) for one in roles_of(endpoint)] == [
        ("loan:1", "live", "sha256:11", None),
        ("loan:2", "canary", "sha256:22", 0.25),
        ("loan:2", "shadow", "sha256:22", None),
        ("remote:old", "shadow", None, None),
    ]


def test_where_bundles_and_records_go_is_shown_without_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = {
        "bundles.url": "s3://ann:s3cret@bucket/bundles?key=s3cret",
        "records.url": f"file://{tmp_path}/records",
    }

    def shown(**flags: object) -> tuple[str | None, str | None]:
        flags["bundles.home"] = tmp_path / "home"
        found = status_of(Target(load_settings(flags, folder=tmp_path, environment={})))
        return found["bundles"], found["records"]

    assert shown() == (None, None)
    assert shown(**urls) == ("s3://ann@bucket/bundles", f"file://{tmp_path}/records")
    places = ["--bundles", urls["bundles.url"], "--records", urls["records.url"]]
    assert run(["status", "--home", str(tmp_path / "home"), *places]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "bundles are shared at s3://ann@bucket/bundles" in lines
    assert f"records go to file://{tmp_path}/records" in lines
