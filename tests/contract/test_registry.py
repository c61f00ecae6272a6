"""What every registry keeps, against a real MLflow server."""

from __future__ import annotations

import math
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelway.backends.mlflow_registering import EXPERIMENT
from modelway.backends.mlflow_rest import MlflowRegistry
from modelway.bundles.store import open_bundle
from modelway.composition.bundling import BuildRequest, build
from modelway.domain.errors import (
    InvalidInput,
    InvalidName,
    InvalidSource,
    ModelNotFound,
    RegistryUnavailable,
    RunNotFound,
    SourceNotFound,
    TargetExists,
    VersionNotFound,
)
from modelway.domain.references import RunReference
from modelway.registry.models import RegisteredModel
from modelway.settings import load_settings
from support.mlflow_servers import MlflowServer, mlflow_server

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server, the same for all tests."""
    with mlflow_server(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="session")
def logged(server: MlflowServer) -> dict[str, str]:
    """The runs of plain MLflow code, whose models are in the registry."""
    return server.logged()


@pytest.fixture
def registry(server: MlflowServer) -> MlflowRegistry:
    """The registry under test."""
    return MlflowRegistry(server.url)


@pytest.fixture
def name() -> str:
    """A name that no other test uses, with all that MLflow allows in one."""
    return f"credit risk v2.1 ü@bank-{secrets.token_hex(6)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files in folders, an empty one, and one with a name that needs care."""
    folder = tmp_path / "model"
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "code" / "deep" / "rules and ü.py").write_bytes(b"")
    (folder / "code" / "weights.bin").write_bytes(bytes(range(256)) * 5000)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their paths."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_models_are_complete_however_many(
    server: MlflowServer, registry: MlflowRegistry, folder: Path, name: str
) -> None:
    (folder / "code" / "weights.bin").unlink()
    made = [f"{name} {number}" for number in range(5)]
    for one in made:
        registry.register(one, folder, None, {})
    found = MlflowRegistry(server.url, page_rows=2).models()
    assert [one.name for one in found if one.name.startswith(name)] == made
    assert len({one.name for one in found}) == len(found)


def test_versions_are_complete_and_the_oldest_first(
    server: MlflowServer, registry: MlflowRegistry, folder: Path, name: str
) -> None:
    (folder / "code" / "weights.bin").unlink()
    run_id = registry.register(name, folder, None, {}).run_id
    for _ in range(10):
        registry.register(name, folder, run_id, {})
    registry.delete(name, "5")
    for reader in (registry, MlflowRegistry(server.url, page_rows=3)):
        versions = reader.versions(name)
        assert [one.version for one in versions] == [str(n) for n in range(1, 12) if n != 5]
        assert {one.name for one in versions} == {name}


def test_a_model_without_versions_has_none(
    registry: MlflowRegistry, folder: Path, name: str
) -> None:
    registry.register(name, folder, None, {})
    registry.delete(name, "1")
    assert registry.versions(name) == []


def test_a_model_has_its_aliases(registry: MlflowRegistry, folder: Path, name: str) -> None:
    run_id = registry.register(name, folder, None, {}).run_id
    registry.register(name, folder, run_id, {})
    assert registry.model(name) == RegisteredModel(name)
    registry.set_alias(name, "champion", "1")
    registry.set_alias(name, "challenger", "2")
    assert registry.model(name).aliases == {"champion": "1", "challenger": "2"}


def test_a_version_says_what_it_is(registry: MlflowRegistry, folder: Path, name: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = registry.register(name, folder, None, {"data_sha256": "ab" * 32, "empty": ""})
    assert registry.version(name, "1") == made == registry.versions(name)[0]
    assert (made.name, made.version, made.state, made.stage) == (name, "1", "READY", None)
    assert made.tags == {"data_sha256": "ab" * 32, "empty": ""}
    assert before <= made.created_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert made.run_id is not None


def test_old_stages_are_read(registry: MlflowRegistry, logged: dict[str, str]) -> None:
    assert registry.version("logged-linear", "1").stage == "Staging"
    assert registry.version("logged-trees", "1").stage is None


def test_a_run_has_parameters_and_its_latest_metrics(
    registry: MlflowRegistry, logged: dict[str, str]
) -> None:
    run = registry.run(logged["linear_run"])
    assert registry.version("logged-linear", "1").run_id == run.run_id == logged["linear_run"]
    assert run.name == "by hand"
    assert run.parameters == {"C": "1.0"}
    assert run.metrics["accuracy"] == 0.9
    assert math.isnan(run.metrics["lost"])
    assert run.tags["mlflow.runName"] == "by hand"
    assert timedelta(0) <= datetime.now(UTC) - run.started_at < timedelta(hours=1)


@pytest.mark.parametrize(
    ("run", "path", "models"),
    [
        ("linear_run", "model", ["copied-linear", "logged-linear"]),
        ("disk_run", "model", ["disk-run"]),
        ("disk_run", "fresh", ["disk-logged"]),
        ("disk_run", "rule.txt", ["disk-file"]),
        ("linear_run", "nothing", []),
    ],
)
def test_registered_from_are_the_versions_of_what_a_run_has_logged_at_a_path(
    registry: MlflowRegistry, logged: dict[str, str], run: str, path: str, models: list[str]
) -> None:
    there = registry.registered_from(RunReference(logged[run], path))
    found = [one for one in there if not one.name.startswith("loan-")]  # those are of other tests
    assert sorted(one.name for one in found) == models
    assert {one.version for one in found} <= {"1"}


def test_registered_from_a_run_that_does_not_exist_is_told(registry: MlflowRegistry) -> None:
    with pytest.raises(RunNotFound, match="nowhere"):
        registry.registered_from(RunReference("nowhere", "model"))


@pytest.mark.parametrize(
    ("run", "path"), [("linear_run", "model"), ("disk_run", "model"), ("disk_run", "fresh")]
)
def test_what_a_run_logged_is_registered_where_it_lies(
    registry: MlflowRegistry,
    logged: dict[str, str],
    run: str,
    path: str,
    name: str,
    tmp_path: Path,
) -> None:
    reference = RunReference(logged[run], path)
    made = registry.register_run(name, reference, {"team": "loans"})
    assert (made.version, made.run_id, made.tags) == ("1", logged[run], {"team": "loans"})
    assert made in registry.registered_from(reference)
    registry.fetch(made, tmp_path / "source")
    assert {"MLmodel", "model.skops"} <= contents(tmp_path / "source").keys()
    registry.delete(name, "1")
    assert name not in [one.name for one in registry.registered_from(reference)]


def test_fetch_writes_the_files_below_the_folder_and_nowhere_else(
    registry: MlflowRegistry, folder: Path, name: str, tmp_path: Path
) -> None:
    version = registry.register(name, folder, None, {})
    place = tmp_path / "fetched" / "below"
    registry.fetch(version, place)
    assert contents(place) == contents(folder)
    assert contents(tmp_path / "fetched").keys() == {f"below/{one}" for one in contents(folder)}


def test_fetch_needs_an_empty_folder(
    registry: MlflowRegistry, folder: Path, name: str, tmp_path: Path
) -> None:
    version = registry.register(name, folder, None, {})
    full = tmp_path / "full"
    full.mkdir()
    registry.fetch(version, full)
    before = contents(full)
    with pytest.raises(TargetExists, match="is there already"):
        registry.fetch(version, full)
    with pytest.raises(TargetExists):
        registry.fetch(version, full / "MLmodel")
    assert contents(full) == before


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("logged-linear", "model.skops"),
        ("logged-trees", "model.ubj"),
        ("copied-linear", "model.skops"),
        ("disk-run", "model.skops"),
        ("disk-logged", "model.skops"),
    ],
)
def test_what_plain_mlflow_code_logged_is_fetched_and_built(
    registry: MlflowRegistry, logged: dict[str, str], model: str, file: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    registry.fetch(registry.version(model, "1"), source)
    assert {"MLmodel", file} <= contents(source).keys()
    if model not in ("logged-linear", "logged-trees"):
        return
    settings = load_settings({}, folder=tmp_path, environment={})
    built = build(BuildRequest(str(source), name="loan"), tmp_path / "bundle", settings, print)
    assert open_bundle(built.folder).manifest.is_compiled


def test_a_version_of_a_single_file_is_fetched(
    registry: MlflowRegistry, logged: dict[str, str], tmp_path: Path
) -> None:
    registry.fetch(registry.version("disk-file", "1"), tmp_path / "source")
    assert contents(tmp_path / "source") == {"rule.txt": b"only a file"}


@pytest.mark.parametrize(("run", "path"), [("linear_run", "model"), ("disk_run", "model")])
def test_what_a_run_logged_is_fetched(
    registry: MlflowRegistry, logged: dict[str, str], run: str, path: str, tmp_path: Path
) -> None:
    registry.fetch_run(RunReference(logged[run], path), tmp_path / "source")
    assert {"MLmodel", "model.skops"} <= contents(tmp_path / "source").keys()


def test_what_a_run_has_not_logged_is_told(
    registry: MlflowRegistry, logged: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(InvalidSource, match="no files"):
        registry.fetch_run(RunReference(logged["linear_run"], "nothing"), tmp_path / "source")
    with pytest.raises(RunNotFound, match="nowhere"):
        registry.fetch_run(RunReference("nowhere", "model"), tmp_path / "source")


def test_register_makes_the_model_and_gives_its_new_version(
    registry: MlflowRegistry, folder: Path, name: str
) -> None:
    first = registry.register(name, folder, None, {})
    second = registry.register(name, folder, None, {})
    assert (first.version, second.version) == ("1", "2")
    assert first.run_id != second.run_id
    assert first.source != second.source
    assert registry.model(name).name == name


def test_register_keeps_the_files_with_a_run_that_is_given(
    registry: MlflowRegistry, logged: dict[str, str], folder: Path, name: str
) -> None:
    made = registry.register(name, folder, logged["linear_run"], {})
    assert made.run_id == logged["linear_run"]
    assert registry.run(logged["linear_run"]).metrics["accuracy"] == 0.9


def test_mlflow_itself_loads_what_was_registered(
    registry: MlflowRegistry,
    logged: dict[str, str],
    server: MlflowServer,
    tmp_path: Path,
    name: str,
) -> None:
    source = tmp_path / "source"
    registry.fetch(registry.version("logged-trees", "1"), source)
    name = name.replace("@", " ")  # which MLflow's own addresses take for an alias
    registry.register(name, source, None, {})
    code = (
        "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
        "print(len(mlflow.xgboost.load_model(f'models:/{sys.argv[2]}/1').get_booster().get_dump()),"
        "mlflow.get_experiment_by_name(sys.argv[3]) is not None)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, server.url, name, EXPERIMENT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "3 True", done.stderr


def test_register_refuses_what_cannot_be_kept_and_leaves_nothing(
    registry: MlflowRegistry, folder: Path, name: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceNotFound, match="missing"):
        registry.register(name, tmp_path / "missing", None, {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidSource, match="has no files"):
        registry.register(name, tmp_path / "empty", None, {})
    with pytest.raises(RunNotFound, match="nowhere"):
        registry.register(name, folder, "nowhere", {})
    with pytest.raises(InvalidName, match="without '/' and ':'"):
        registry.register("a/b", folder, None, {})
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(InvalidSource, match="leads out of the folder"):
        registry.register(name, folder, None, {})
    with pytest.raises(ModelNotFound):
        registry.model(name)


def test_set_alias_moves_it_and_the_last_writer_wins(
    registry: MlflowRegistry, folder: Path, name: str
) -> None:
    run_id = registry.register(name, folder, None, {}).run_id
    registry.register(name, folder, run_id, {})
    registry.set_alias(name, "champion", "1")
    registry.set_alias(name, "champion", "2")
    assert registry.model(name).aliases == {"champion": "2"}


def test_set_alias_to_none_removes_it(registry: MlflowRegistry, folder: Path, name: str) -> None:
    registry.register(name, folder, None, {})
    registry.set_alias(name, "champion", "1")
    registry.set_alias(name, "champion", None)
    registry.set_alias(name, "champion", None)
    assert registry.model(name).aliases == {}


@pytest.mark.parametrize("alias", ["latest", "v3", "V12", "a b", "", "a/b"])
def test_an_alias_that_mlflow_does_not_take_is_refused(
    registry: MlflowRegistry, alias: str
) -> None:
    with pytest.raises(InvalidName, match="an alias"):
        registry.set_alias("logged-linear", alias, "1")


def test_set_tags_adds_and_replaces(registry: MlflowRegistry, folder: Path, name: str) -> None:
    registry.register(name, folder, None, {"data": "old", "commit": "c0ffee"})
    registry.set_tags(name, "1", {"data": "fresh", "lock": "ab"})
    registry.set_tags(name, "1", {})
    expected = {"data": "fresh", "commit": "c0ffee", "lock": "ab"}
    assert registry.version(name, "1").tags == expected
    with pytest.raises(InvalidInput, match="maximum length"):
        registry.set_tags(name, "1", {"k" * 300: "v"})


def test_set_tags_to_none_removes_them(registry: MlflowRegistry, folder: Path, name: str) -> None:
    registry.register(name, folder, None, {"data": "old", "commit": "c0ffee"})
    for _ in range(2):
        registry.set_tags(name, "1", {"data": None})
        assert registry.version(name, "1").tags == {"commit": "c0ffee"}


def test_delete_removes_a_version_with_its_tags_and_aliases(
    registry: MlflowRegistry, folder: Path, name: str, tmp_path: Path
) -> None:
    first = registry.register(name, folder, None, {"data": "old"})
    registry.register(name, folder, first.run_id, {})
    registry.set_alias(name, "champion", "1")
    registry.set_alias(name, "challenger", "2")
    registry.delete(name, "1")
    assert [one.version for one in registry.versions(name)] == ["2"]
    assert registry.model(name).aliases == {"challenger": "2"}
    with pytest.raises(VersionNotFound):
        registry.fetch(first, tmp_path / "source")
    assert not (tmp_path / "source").exists()


CALLS: dict[str, Callable[[MlflowRegistry, str, str], object]] = {
    "version": lambda registry, name, version: registry.version(name, version),
    "set_alias": lambda registry, name, version: registry.set_alias(name, "champion", version),
    "set_tags": lambda registry, name, version: registry.set_tags(name, version, {"a": "b"}),
    "no tags": lambda registry, name, version: registry.set_tags(name, version, {}),
    "delete": lambda registry, name, version: registry.delete(name, version),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("version", ["99", "0", "-1", "first", "１"])
def test_a_version_that_does_not_exist_is_told_with_those_that_do(
    registry: MlflowRegistry,
    logged: dict[str, str],
    call: Callable[[MlflowRegistry, str, str], object],
    version: str,
) -> None:
    with pytest.raises(VersionNotFound, match=r"logged-trees has no version .* there is: 1$"):
        call(registry, "logged-trees", version)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("model", ["nobody", 'it\'s "quoted"', "o'clock"])
def test_a_model_that_does_not_exist_is_told(
    registry: MlflowRegistry, call: Callable[[MlflowRegistry, str, str], object], model: str
) -> None:
    with pytest.raises(ModelNotFound):
        call(registry, model, "1")
    with pytest.raises(ModelNotFound):
        registry.model(model)
    with pytest.raises(ModelNotFound):
        registry.versions(model)
    with pytest.raises(ModelNotFound):
        registry.set_alias(model, "champion", None)


@pytest.mark.parametrize("run_id", ["nowhere", "..", "a b"])
def test_a_run_that_does_not_exist_is_told(registry: MlflowRegistry, run_id: str) -> None:
    with pytest.raises(RunNotFound, match="the registry has no run"):
        registry.run(run_id)


def test_a_registry_that_cannot_be_reached_is_told_by_every_method(
    logged: dict[str, str], registry: MlflowRegistry, folder: Path, free_port: int, tmp_path: Path
) -> None:
    version = registry.version("logged-linear", "1")
    gone = MlflowRegistry(f"http://user:secret@127.0.0.1:{free_port}")
    calls: list[Callable[[], object]] = [
        gone.models,
        lambda: gone.model("logged-linear"),
        lambda: gone.versions("logged-linear"),
        lambda: gone.version("logged-linear", "1"),
        lambda: gone.run("nowhere"),
        lambda: gone.registered_from(RunReference("nowhere", "model")),
        lambda: gone.fetch(version, tmp_path / "source"),
        lambda: gone.register_run("logged-linear", RunReference("nowhere", "model"), {}),
        lambda: gone.register("logged-linear", folder, None, {}),
        lambda: gone.set_alias("logged-linear", "champion", "1"),
        lambda: gone.set_alias("logged-linear", "champion", None),
        lambda: gone.set_tags("logged-linear", "1", {"a": "b"}),
        lambda: gone.delete("logged-linear", "1"),
    ]
    for call in calls:
        with pytest.raises(RegistryUnavailable, match=r"cannot be reached.*refused") as error:
            call()
        assert error.value.__cause__ is not None
        assert "secret" not in str(error.value)


def test_threads_share_a_registry(
    registry: MlflowRegistry, logged: dict[str, str], tmp_path: Path
) -> None:
    version = registry.version("logged-linear", "1")
    failed: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            for turn in range(5):
                assert registry.version("logged-linear", "1") == version
                registry.fetch(version, tmp_path / f"{number}-{turn}")
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed
    fetched = {tuple(sorted(contents(one).items())) for one in tmp_path.iterdir()}
    assert len(fetched) == 1


def test_no_process_that_reads_the_registry_imports_mlflow(server: MlflowServer) -> None:
    code = (
        "import sys; from modelway.backends.mlflow_rest import MlflowRegistry;"
        "MlflowRegistry(sys.argv[1]).models(); print('mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
