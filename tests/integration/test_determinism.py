"""The same inputs give the same digest: whatever the hash seed, the folder or the day."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from modelway.bundles.digest import bundle_digest
from modelway.bundles.record import read_record
from support.live import MODELWAY, TWINS

SEEDS = ("0", "1", "4242")


@pytest.fixture(scope="module")
def loan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with text and numbers, missing values in both, and the rows it was fitted on."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    folder = tmp_path_factory.mktemp("loan")
    rows = pd.read_csv(TWINS / "loan" / "train.csv").drop(columns="Loan_ID")
    features, target = rows.drop(columns="Loan_Status"), rows["Loan_Status"]
    numbers = list(features.select_dtypes("number"))
    texts = [name for name in features if name not in numbers]
    pick = SimpleImputer(strategy="most_frequent")
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (make_pipeline(pick, OneHotEncoder(handle_unknown="ignore")), texts),
    )
    model = make_pipeline(columns, RandomForestClassifier(n_estimators=5, random_state=0))
    model.fit(features, target)
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    rows.to_csv(folder / "rows.csv", index=False)
    return folder


def built(source: Path, folder: Path, seed: str) -> Path:
    folder.mkdir()
    done = subprocess.run(
        [
            *(*MODELWAY, "bundle", "build", str(source / "model.pickle"), "--require-compiled"),
            *("--data", str(source / "rows.csv"), "--target", "Loan_Status"),
            *("--name", f"loan-{seed}", "-o", "bundle"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "bundle"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name != "record.json"
    }


def test_one_digest_under_three_hash_seeds_and_in_as_many_folders(
    loan: Path, tmp_path: Path
) -> None:
    bundles = [built(loan, tmp_path / f"somewhere-{seed}", seed) for seed in SEEDS]
    first = contents(bundles[0])
    for bundle in bundles[1:]:
        other = contents(bundle)
        assert set(first) == set(other)
        assert [name for name in first if first[name] != other[name]] == []
    assert len({bundle_digest(bundle) for bundle in bundles}) == 1
    assert [read_record(bundle).name for bundle in bundles] == [f"loan-{seed}" for seed in SEEDS]


def test_nothing_of_the_machine_is_inside(loan: Path, tmp_path: Path) -> None:
    bundle = built(loan, tmp_path / "a-name-to-look-for", "7")
    for name, content in contents(bundle).items():
        for trace in ("a-name-to-look-for", str(loan), "built_at", "loan-7"):
            assert trace.encode() not in content, (name, trace)
