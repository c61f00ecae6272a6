"""Registering into a real MLflow server, and reading it back: by MLflow, and by another host."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from modelway.bundles.store import Bundle, open_bundle
from modelway.bundles.training import table_of
from modelway.composition.asking import asked
from modelway.composition.control import Control
from modelway.composition.demo_training import LABELS
from modelway.composition.frameworks import open_runtime
from modelway.composition.register_operation import Register, registering
from modelway.domain.errors import (
    InvalidInput,
    InvalidName,
    InvalidSource,
    ModelNotFound,
    RegistryUnavailable,
    RunNotFound,
    UnsafeFormat,
    UntrustedRegistry,
)
from modelway.domain.inference import Outputs
from modelway.domain.tables import Table
from modelway.endpoints.endpoint import Endpoint
from modelway.lineage.origin import origin_of
from modelway.lineage.ports import Recorded
from modelway.lineage.replay import Outcome, Replaying
from modelway.lineage.tracing import Tracing
from modelway.settings import load_settings
from support.lineages import MemoryPredictions
from support.live import modelway
from support.loans import TARGET, loan_rows, save_loans
from support.mlflow_servers import MlflowServer
from support.repositories import Repository

pytestmark = pytest.mark.services

NUMBERS = ["ApplicantIncome", "CoapplicantIncome"]

ASKING = """
import json, sys
import mlflow, numpy as np, pandas as pd
url, work = sys.argv[1:]
mlflow.set_tracking_uri(url)
answers = {}
for name, rows in json.load(open(work)).items():
    table, uri = pd.read_csv(rows), f"models:/{name}/1"
    model = mlflow.pyfunc.load_model(uri)
    said = {"pyfunc": np.asarray(model.predict(table)).tolist()}
    said["inputs"] = model.metadata.signature.inputs.to_dict()
    if "sklearn" in model.metadata.flavors:
        loaded = mlflow.sklearn.load_model(uri)
        said["sklearn"] = loaded.predict(table[list(loaded.feature_names_in_)]).tolist()
    answers[name] = said
print(json.dumps(answers))
"""


def opened(home: Path, url: str, *, trusted: bool = True) -> Control:
    """A home that uses the registry at an address."""
    flags: dict[str, Any] = {"bundles.home": home, "registry.url": url}
    if trusted:
        flags["registry.trusted"] = url
    return Control(load_settings(flags, folder=home.parent, environment={}))


@dataclass
class Desk:
    """A home and a registry, and a name that no other test has."""

    control: Control
    folder: Path
    said: list[str]

    def register(self, source: str | Path, name: str = "", **given: Any) -> Any:
        """A new version, by a name that is fresh unless it is given."""
        name = name or fresh()
        asked_for = Register(name, str(source), **given)
        return registering(self.said.append).carry_out(self.control, asked_for, "ann")

    def bundle(self, shown: Any) -> Bundle:
        """The bundle here of a version."""
        folder = self.control.registered.folder(shown.digest)
        assert folder is not None
        return open_bundle(folder)

    def elsewhere(self, shown: Any, *, trusted: bool = True) -> Bundle:
        """The bundle that a host builds which has the registry only."""
        home = self.folder / f"other-{secrets.token_hex(4)}"
        with opened(home, self.control.registry_url, trusted=trusted) as other:
            digest = other.registered.bundle(shown.name, shown.version, self.said.append)
            folder = other.registered.folder(digest)
            assert folder is not None
            return open_bundle(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, iris_home: Path) -> Path:
    """One home for all tests: what one of them has bundled is not built again."""
    home = tmp_path_factory.mktemp("registering") / "home"
    shutil.copytree(iris_home, home)
    return home


@pytest.fixture
def desk(server: MlflowServer, home: Path, tmp_path: Path) -> Iterator[Desk]:
    with opened(home, server.url) as control:
        yield Desk(control, tmp_path, [])


def fresh() -> str:
    return f"loan-{secrets.token_hex(6)}"


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a forest of loans and the rows it was trained on; nobody may change it."""
    from sklearn.ensemble import RandomForestClassifier

    folder = tmp_path_factory.mktemp("forest")
    save_loans(RandomForestClassifier(n_estimators=3, max_depth=3, random_state=0), folder)
    return folder


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two numbers, quickly built, and its rows; nobody may change it."""
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("linear")
    rows = loan_rows()[[*NUMBERS, TARGET]]
    model = LogisticRegression().fit(rows[NUMBERS] / 1000, rows[TARGET])
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    rows.to_csv(folder / "rows.csv", index=False)
    return folder


def repository_of(folder: Path, files: Path) -> Repository:
    """A repository with a copy of some files, all of them committed."""
    made = Repository(folder)
    shutil.copytree(files, folder, dirs_exist_ok=True)
    (folder / "uv.lock").write_text("version = 1\n")
    made.git("remote", "add", "origin", "https://ann:secret@example.org/loan.git")
    made.commit()
    return made


def answers_of_mlflow(server: MlflowServer, rows: Mapping[str, Path], folder: Path) -> Any:
    """What MLflow itself answers with the first version of some models."""
    work = folder / "work.json"
    work.write_text(json.dumps({name: str(path) for name, path in rows.items()}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKING, server.url, str(work)],
        env={**kept, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def answers_of_ours(bundle: Bundle, rows: Path, control: Control) -> list[Any]:
    """What the bundle answers, outside of a server."""
    table = pd.read_csv(rows).astype(object)
    names = [column.name for column in bundle.signature.columns]
    values = table[names].where(table[names].notna(), None).itertuples(index=False)
    given = [dict(zip(names, row, strict=True)) for row in values]
    with asked(str(bundle.folder), None, control.settings, print) as model:
        return [one["prediction"] for one in model.predict(given)]


def test_what_is_registered_is_loaded_by_mlflow_and_answers_alike(
    desk: Desk, server: MlflowServer, forest: Path, iris_training: Path
) -> None:
    iris = iris_training / "training.csv"
    loans = desk.register(*(forest / "model.pickle",), data=str(forest / "rows.csv"), target=TARGET)
    given = {"data": str(iris), "target": "species", "labels": ",".join(LABELS)}
    irises = desk.register(iris_training / "model.pickle", **given)
    rows = {loans.name: forest / "rows.csv", irises.name: iris}
    boosted = _boosted(desk)
    rows |= dict.fromkeys([one.name for one in boosted], desk.folder / "numbers.csv")
    said = answers_of_mlflow(server, rows, desk.folder)
    for shown in (loans, irises):
        ours = answers_of_ours(desk.bundle(shown), rows[shown.name], desk.control)
        assert said[shown.name]["pyfunc"] == said[shown.name]["sklearn"] == ours
    inputs = {one["name"]: (one["type"], one["required"]) for one in said[loans.name]["inputs"]}
    assert inputs == {
        "Property_Area": ("string", True),
        "Gender": ("string", False),
        "LoanAmount": ("double", False),
        "ApplicantIncome": ("long", False),
    }
    for shown in boosted:
        ours = answers_of_ours(desk.bundle(shown), rows[shown.name], desk.control)
        assert np.array(said[shown.name]["pyfunc"]).ravel() == pytest.approx(ours, rel=1e-6)


def _boosted(desk: Desk) -> list[Any]:
    """Models of other frameworks, registered, and ``numbers.csv``."""
    import lightgbm
    import xgboost

    generator = np.random.default_rng(3)
    rows = pd.DataFrame(generator.normal(size=(60, 3)), columns=["income", "age", "debt"])
    rows.to_csv(desk.folder / "numbers.csv", index=False)
    rate = rows.income - 2 * rows.debt
    trees = xgboost.XGBRegressor(n_estimators=3, max_depth=2).fit(rows, rate)
    trees.save_model(desk.folder / "wrapped.json")
    leaves = lightgbm.LGBMRegressor(n_estimators=3, num_leaves=4, verbose=-1).fit(rows, rate)
    leaves.booster_.save_model(desk.folder / "leaves.txt")
    return [desk.register(desk.folder / name) for name in ("wrapped.json", "leaves.txt")]


def test_a_version_tells_where_it_comes_from(desk: Desk, linear: Path) -> None:
    repository = repository_of(desk.folder / "loan", linear)
    folder = repository.folder
    given = {
        "data": str(folder / "rows.csv"),
        "target": TARGET,
        "metrics": {"accuracy": 0.81},
        "tags": {"team": "loans"},
    }
    name = fresh()
    clean = desk.register(folder / "model.pickle", name, **given)
    sha256 = hashlib.sha256((linear / "rows.csv").read_bytes()).hexdigest()
    assert clean.version == "1"
    assert clean.tags == {
        "modelway.git_commit": repository.git("rev-parse", "HEAD"),
        "modelway.git_branch": "main",
        "modelway.git_dirty": "false",
        "modelway.git_repository": "https://example.org/loan.git",
        "modelway.data": "rows.csv",
        "modelway.data_sha256": sha256,
        "modelway.lock": "uv.lock",
        "modelway.lock_sha256": hashlib.sha256(b"version = 1\n").hexdigest(),
        "modelway.metric.accuracy": "0.81",
        "modelway.digest": clean.digest,
        "modelway.registered_by": "ann",
        "team": "loans",
    }
    assert desk.control.store.links.digest(name, "1") == clean.digest
    assert desk.said[-1] == f"{name}:1 is registered"

    (folder / "train.py").write_text("changed = 1\n")
    pointer = {"hash": "md5", "md5": "ab" * 16, "size": 9, "path": "rows.csv"}
    (folder / "rows.csv.dvc").write_text(yaml.safe_dump({"outs": [pointer]}))
    dirty = desk.register(folder / "model.pickle", name, **given)
    assert dirty.version == "2"
    assert dirty.digest == clean.digest
    assert dirty.tags["modelway.git_dirty"] == "true"
    assert json.loads(dirty.tags["modelway.data_dvc"])["value"] == "ab" * 16
    assert any("is not what rows.csv.dvc points to" in line for line in desk.said)


def test_a_pointer_in_place_of_the_data(desk: Desk, linear: Path) -> None:
    folder = desk.folder / "pointed"
    folder.mkdir()
    shutil.copy(linear / "model.pickle", folder)
    pointer = {"hash": "md5", "md5": "ab" * 16, "size": 9, "path": "rows.csv"}
    (folder / "rows.csv.dvc").write_text(yaml.safe_dump({"outs": [pointer]}))
    given = {"data": str(folder / "rows.csv"), "target": TARGET}
    shown = desk.register(folder / "model.pickle", **given)
    assert "modelway.data_sha256" not in shown.tags
    assert json.loads(shown.tags["modelway.data_dvc"])["path"] == "rows.csv"
    assert any("only its DVC pointer" in line for line in desk.said)


def test_another_host_builds_what_takes_and_gives_the_same(desk: Desk, linear: Path) -> None:
    given = {"data": str(linear / "rows.csv"), "target": TARGET, "labels": "refused,granted"}
    shown = desk.register(linear / "model.pickle", **given)
    here, there = desk.bundle(shown), desk.elsewhere(shown)
    assert there.signature == here.signature
    rows = linear / "rows.csv"
    assert answers_of_ours(there, rows, desk.control) == answers_of_ours(here, rows, desk.control)


def test_a_python_function_with_its_code(desk: Desk) -> None:
    shop = desk.folder / "shop"
    shop.mkdir()
    (shop / "limits.py").write_text("LIMIT = 40\n")
    (shop / "rules.py").write_text(
        "from limits import LIMIT\n\n\n"
        "def too_old(age: int, name: str) -> bool:\n    return age > LIMIT\n"
    )
    shown = desk.register(f"{shop / 'rules.py'}:too_old", code=str(shop))
    there = desk.elsewhere(shown)
    assert there.digest == shown.digest
    assert there.manifest.original.entry == "too_old"
    (desk.folder / "rows.csv").write_text("age,name\n39,ann\n41,bob\n")
    done = modelway("predict", there.folder, "--input", "rows.csv", folder=desk.folder)
    assert done.stdout.splitlines() == ["age,name,prediction", "39,ann,false", "41,bob,true"]
    with pytest.raises(UntrustedRegistry):
        desk.elsewhere(shown, trusted=False)


def test_an_mlflow_folder_is_registered_as_it_is(desk: Desk, linear: Path) -> None:
    source = desk.folder / "logged"
    source.mkdir()
    shutil.copy(linear / "model.pickle", source / "kept.pkl")
    flavor = {"pickled_model": "kept.pkl", "serialization_format": "pickle"}
    (source / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
    (source / "notes.txt").write_text("by hand\n")
    shown = desk.register(source, data=str(linear / "rows.csv"), target=TARGET)
    version = desk.control.registry.version(shown.name, shown.version)
    desk.control.registry.fetch(version, desk.folder / "fetched")
    fetched = {path.name for path in (desk.folder / "fetched").iterdir()}
    assert fetched == {"MLmodel", "kept.pkl", "notes.txt"}
    assert any("registered as it is: what --data says" in line for line in desk.said)


def test_the_run_that_trained_it(desk: Desk, linear: Path) -> None:
    source = linear / "model.pickle"
    first = desk.register(source, metrics={"accuracy": 0.25})
    again = desk.register(source, first.name, run=first.run_id, metrics={"accuracy": 0.5})
    assert (again.version, again.run_id) == ("2", first.run_id)
    assert desk.control.registry.run(first.run_id).metrics == {"accuracy": 0.25}
    assert again.tags["modelway.metric.accuracy"] == "0.5"
    assert again.digest == first.digest


def test_what_a_run_has_logged_is_registered_where_it_lies(
    desk: Desk, server: MlflowServer, linear: Path
) -> None:
    reference = f"runs:/{server.logged()['linear_run']}/model"
    name = fresh()
    data = repository_of(desk.folder / "elsewhere", linear).folder / "seen.csv"
    data.write_text("income,age,debt\n0.5,0.25,1.5\n1.5,0.5,0.25\n")
    shown = desk.register(reference, name, metrics={"accuracy": 0.5}, tags={"team": "loans"})
    version = desk.control.registry.version(name, "1")
    assert version.run_id == server.logged()["linear_run"]
    assert version.source == desk.control.registry.version("logged-linear", "1").source
    assert shown.digest == desk.bundle(shown).digest
    assert shown.tags == {
        "modelway.digest": shown.digest,
        "modelway.metric.accuracy": "0.5",
        "modelway.registered_by": "ann",
        "team": "loans",
    }
    assert desk.control.registry.run(version.run_id).metrics["accuracy"] == 0.9
    assert desk.control.meanings.version(reference) == (name, "1")
    told = desk.register(reference, name, data=str(data))
    assert told.tags["modelway.data"] == "seen.csv"
    assert "modelway.git_commit" not in told.tags
    assert any("registered as it is: what --data says" in line for line in desk.said)
    assert list((desk.control.home.path / "registering").iterdir()) == []


def test_what_a_run_has_logged_is_refused_as_any_source_is(
    desk: Desk, server: MlflowServer, linear: Path
) -> None:
    run = desk.register(linear / "model.pickle").run_id
    with pytest.raises(InvalidInput, match=f"of the run {run}, and not of other"):
        desk.register(f"runs:/{run}/model", run="other")
    with pytest.raises(InvalidSource, match="no files"):
        desk.register(f"runs:/{run}/nothing")
    with pytest.raises(RunNotFound):
        desk.register("runs:/nowhere/model")


def test_a_pickle_of_a_run_is_built_only_of_a_registry_that_is_trusted(
    desk: Desk, server: MlflowServer, linear: Path
) -> None:
    shown = desk.register(linear / "model.pickle")
    version = desk.control.registry.version(shown.name, "1")
    reference = f"runs:/{version.run_id}/{version.source.rpartition('/')[2]}"
    name = fresh()
    with pytest.raises(UnsafeFormat):
        desk.register(reference, name, allow_pickle=False)
    with (
        opened(desk.folder / "other", server.url, trusted=False) as other,
        pytest.raises(UntrustedRegistry, match=f"{reference} is a pickle"),
    ):
        registering(print).carry_out(other, Register(name, reference), "ann")
    with pytest.raises(ModelNotFound):
        desk.control.registry.model(name)
    assert desk.register(reference, name).version == "1"


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"name": "a/b"}, InvalidName, "a/b"),
        ({"run": "0" * 32}, RunNotFound, "0000"),
        ({"tags": {"modelway.digest": "x"}}, InvalidInput, "Modelway's own"),
        ({"tags": {"t?": "x"}}, InvalidInput, r"'t\?' is no name of a tag"),
        ({"tags": {"t": "x" * 5001}}, InvalidInput, "5001 characters; at most 5000"),
        ({"metrics": {"m": float("inf")}}, InvalidInput, "'m' is inf; expected a finite number"),
        ({"allow_pickle": False}, UnsafeFormat, "a pickle"),
        ({"source": "__main__.pickle"}, InvalidSource, "understood"),
    ],
)
def test_nothing_is_registered_that_cannot_be(
    desk: Desk, linear: Path, given: dict[str, Any], error: type[Exception], told: str
) -> None:
    name = given.pop("name", fresh())
    source = desk.folder / given.pop("source", "model.pickle")
    shutil.copy(linear / "model.pickle", source)
    if source.name != "model.pickle":
        source.write_bytes(b"")
    with pytest.raises(error, match=told):
        desk.register(source, name, **given)
    if error is not InvalidName:
        with pytest.raises(ModelNotFound):
            desk.control.registry.model(name)


def test_a_bundle_is_kept_while_the_registry_is_away(
    tmp_path: Path, linear: Path, free_port: int
) -> None:
    with opened(tmp_path / "home", f"http://127.0.0.1:{free_port}") as control:
        asked_for = Register(fresh(), str(linear / "model.pickle"))
        with pytest.raises(RegistryUnavailable):
            registering(print).carry_out(control, asked_for, "ann")
    assert len(list((tmp_path / "home" / "bundles").iterdir())) == 1
    assert list((tmp_path / "home" / "registering").iterdir()) == []


def test_an_answer_is_traced_and_replayed(desk: Desk, linear: Path) -> None:
    repository = repository_of(desk.folder / "loan", linear)
    source = repository.folder / "model.pickle"
    shown = desk.register(source, data=str(repository.folder / "rows.csv"), target=TARGET)
    control = desk.control
    promoted = control.promoting.promote(shown.name, "1", "champion", "ann", "the first")
    control.rollouts.create(Endpoint("loan", f"{shown.name}@champion"), "bob", "to begin")
    bundle = desk.bundle(shown)

    def answer(folder: Path, table: Table) -> Outputs:
        runtime = open_runtime(folder, bundle.signature, bundle.manifest, allow_pickle=True)
        try:
            return runtime.predict(table)
        finally:
            runtime.close()

    rows = loan_rows()[NUMBERS].astype(np.float64)
    arrays = {name: rows[name].to_numpy() for name in NUMBERS}
    table = table_of([arrays[column.name] for column in bundle.signature.columns], bundle.signature)
    recorded = Recorded(
        *("p1", "loan", shown.name, "1", shown.digest, "live"),
        datetime.now(UTC) + timedelta(seconds=1),
        *(len(rows), arrays, answer(bundle.folder, table)),
    )
    predictions = MemoryPredictions(recorded)
    trace = Tracing(
        *(predictions, control.store.endpoints, control.store.ledger, control.registry),
        lambda digest: desk.bundle(shown).record,
    ).trace("p1:3")
    assert trace.missing == ()
    assert trace.placement is not None
    assert trace.placement.promotion is not None
    assert trace.placement.promotion.why == promoted.why == "the first"
    assert trace.placement.revision.why == "to begin"
    assert trace.origin == origin_of(shown.tags)
    assert trace.run is not None
    assert trace.run.run_id == shown.run_id
    replaying = Replaying(predictions, lambda digest: bundle, answer)
    assert replaying.replay(recorded).outcome is Outcome.IDENTICAL


def test_the_command(desk: Desk, home: Path, server: MlflowServer, linear: Path) -> None:
    name = fresh()
    # Where it stands decides nothing of what is built.
    shutil.copy(linear / "model.pickle", desk.folder / "model.pickle")
    words = (
        *("model", "register", "model.pickle", "--name", name),
        *("--data", linear / "rows.csv", "--target", TARGET),
        *("--metric", "accuracy=0.81", "--tag", "note=a=b"),
        *("--home", home, "--registry", server.url, "--json"),
    )
    done = modelway(*words, folder=desk.folder)
    shown = json.loads(done.stdout)
    assert (shown["name"], shown["version"]) == (name, "1")
    assert shown["tags"]["modelway.metric.accuracy"] == "0.81"
    assert shown["tags"]["note"] == "a=b"
    assert f"{name}:1 is registered" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--server", "http://127.0.0.1:1"), "a model is registered where its files are"),
        (("--metric", "accuracy"), "--metric accuracy: expected NAME=VALUE"),
        (("--metric", "accuracy=high"), "Expected `float`"),
        (("--tag", "a=1", "--tag", "a=2"), "--tag is given twice for a"),
    ],
)
def test_a_command_that_cannot_be(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(None))
    done = modelway(
        *("model", "register", "model.pickle", "--name", "loan", "--home", tmp_path / "home"),
        *words,
        folder=tmp_path,
        exit_code=2,
    )
    assert told in done.stderr
    assert not (tmp_path / "home" / "bundles").exists()
