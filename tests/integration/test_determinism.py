"""The same inputs give the same digest: whatever the hash seed, the folder or the day."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier

from modelway.bundles.digest import bundle_digest
from modelway.bundles.record import read_record
from support.live import MODELWAY
from support.loans import TARGET, save_loans
from support.once import Once

SEEDS = ("0", "1", "4242")


@pytest.fixture(scope="module")
def quick_loan(once: Once) -> Path:
    """A classifier that the gate asks little: it gives no probabilities and splits nowhere."""
    return once("quick-loan", lambda folder: save_loans(RidgeClassifier(), folder))


@pytest.fixture(scope="module")
def bundles(quick_loan: Path, once: Once) -> list[Path]:
    """The model's bundle under each hash seed, built in another folder under another name."""
    return [once(f"look-for-{seed}", partial(build, quick_loan, seed)) / "bundle" for seed in SEEDS]


def build(source: Path, seed: str, folder: Path) -> None:
    done = subprocess.run(
        [
            *(*MODELWAY, "bundle", "build", str(source / "model.pickle"), "--require-compiled"),
            *("--data", str(source / "rows.csv"), "--target", TARGET),
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


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name != "record.json"
    }


def test_one_digest_under_three_hash_seeds_and_in_as_many_folders(bundles: list[Path]) -> None:
    first = contents(bundles[0])
    for bundle in bundles[1:]:
        other = contents(bundle)
        assert set(first) == set(other)
        assert [name for name in first if first[name] != other[name]] == []
    assert len({bundle_digest(bundle) for bundle in bundles}) == 1
    assert [read_record(bundle).name for bundle in bundles] == [f"loan-{seed}" for seed in SEEDS]


def test_nothing_of_the_machine_is_inside(quick_loan: Path, bundles: list[Path]) -> None:
    for bundle in bundles:
        traces = (bundle.parent.name, str(quick_loan), "built_at", read_record(bundle).name)
        for name, content in contents(bundle).items():
            for trace in traces:
                assert trace.encode() not in content, (name, trace)


COMPILING = """
import sys
from pathlib import Path
from modelway.composition.frameworks import compiler, framework
from modelway.domain.signature import Column, Datatype, Signature

model = framework("sklearn").load(Path(sys.argv[1]), None)
kinds = {"T": Datatype.STRING, "N": Datatype.FP64}
columns = [
    Column(name, name, kinds[kind], nullable=True)
    for name, kind in zip(model.feature_names_in_, sys.argv[2], strict=True)
]
description = framework("sklearn").describe(model)
compiled = compiler("sklearn").compile(model, Signature(tuple(columns)), description)
sys.stdout.buffer.write(compiled.onnx)
"""


def test_a_forest_on_text_is_the_same_graph_under_three_hash_seeds(tmp_path: Path) -> None:
    save_loans(RandomForestClassifier(n_estimators=5, random_state=0), tmp_path)
    graphs = [
        subprocess.run(
            [sys.executable, "-c", COMPILING, str(tmp_path / "model.pickle"), "TTNN"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in SEEDS
    ]
    assert len(graphs[0]) > 1000
    assert graphs[1:] == graphs[:1] * 2
