"""``modelway bundle build`` and the cache of ``serve``: signatures, code, trust, what is left."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelway as api
from modelway.bundles.manifest import Manifest, OriginalModel, Task
from modelway.bundles.store import Bundle, open_bundle
from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.frameworks import open_runtime
from modelway.domain.errors import LoadFailed, SignatureMismatch, UnsafeFormat
from modelway.domain.signature import Column, Datatype, Signature, columns_named
from modelway.inference.validation import Validator
from modelway.settings import Settings, load_settings
from support.live import modelway
from support.loans import loan_rows


def answers(bundle: Bundle, *rows: object) -> Any:
    """What the bundle predicts for rows as JSON has them."""
    runtime = open_runtime(bundle.folder, bundle.signature, bundle.manifest, allow_pickle=True)
    outputs = runtime.predict(Validator(bundle.signature, strict=False).rows(rows).table)
    if bundle.manifest.classes is None:
        return outputs["prediction"].tolist()
    return [bundle.manifest.classes[i] for i in outputs["class_index"]]


def save(model: Any, folder: Path) -> Path:
    path = folder / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    return path


@pytest.fixture
def loans(loan_bundle: Path) -> Bundle:
    """A bundle whose one text column refuses what training did not have."""
    return open_bundle(loan_bundle)


def test_the_signature_is_what_the_data_has_of_the_models_columns(loans: Bundle) -> None:
    area, gender, amount, income = loans.signature.columns
    rows = loan_rows()
    assert [c.name for c in (area, gender, amount, income)] == [
        *("Property_Area", "Gender", "LoanAmount", "ApplicantIncome")
    ]
    assert area.datatype is gender.datatype is Datatype.CATEGORICAL
    assert area.categories == tuple(sorted(set(rows["Property_Area"])))
    assert amount.datatype is income.datatype is Datatype.FP64
    assert (income.minimum, income.maximum) == (
        rows["ApplicantIncome"].min(),
        rows["ApplicantIncome"].max(),
    )
    assert amount.missing_ratio == pytest.approx(rows["LoanAmount"].isna().mean())
    assert loans.signature.label_names == {"N": "refused", "Y": "granted"}


def test_what_the_model_accepts_is_found_by_asking_it(loans: Bundle) -> None:
    area, gender, amount, income = loans.signature.columns
    assert (area.closed, gender.closed) == (True, False)
    assert (amount.nullable, income.nullable) == (True, False)
    row = {"Property_Area": "Urban", "Gender": "never seen", "ApplicantIncome": 5000}
    assert answers(loans, row)[0] in ("Y", "N")
    with pytest.raises(SignatureMismatch, match="Property_Area"):
        answers(loans, {**row, "Property_Area": "Moon"})


def test_the_profile_of_the_training_data_is_kept(loans: Bundle) -> None:
    rows = loan_rows()
    profile = json.loads((loans.folder / "reference.json").read_text())
    assert profile["n_rows"] == len(rows)
    amount = profile["columns"]["LoanAmount"]
    assert amount["missing"] == int(rows["LoanAmount"].isna().sum())
    assert amount["numbers"]["mean"] == pytest.approx(rows["LoanAmount"].mean())
    assert amount["numbers"]["std"] == pytest.approx(rows["LoanAmount"].std(ddof=0))
    assert amount["numbers"]["quantiles"]["0.3"] == pytest.approx(rows["LoanAmount"].quantile(0.3))
    assert profile["columns"]["Gender"]["counts"] == rows["Gender"].value_counts().to_dict()


def test_the_contents_are_pinned_and_complete(loan: Path, loans: Bundle) -> None:
    files = {p.relative_to(loans.folder).as_posix() for p in loans.folder.rglob("*.*")}
    assert files == {
        *("manifest.json", "signature.json", "reference.json", "requirements.txt", "record.json"),
        *("model.onnx", "original/model.pickle"),
    }
    kept = (loans.folder / "original" / "model.pickle").read_bytes()
    assert kept == (loan / "model.pickle").read_bytes()
    pins = (loans.folder / "requirements.txt").read_text().splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["numpy", "onnxruntime"]
    assert loans.manifest.libraries["scikit-learn"]
    assert loans.record.source == "model.pickle"


def test_signature_toml_wins_field_by_field(tmp_path: Path) -> None:
    from sklearn.linear_model import RidgeClassifier

    rows = loan_rows()[["CoapplicantIncome", "ApplicantIncome", "Loan_Status"]]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    source = save(RidgeClassifier().fit(rows.iloc[:, :2], rows["Loan_Status"]), tmp_path)
    (tmp_path / "signature.toml").write_text(
        'description = "Loans"\n'
        '[[columns]]\nname = "ApplicantIncome"\nalias = "income"\ndatatype = "INT64"\n'
        'unit = "USD"\nminimum = 0\n'
        '[label_names]\nY = "yes"\n'
    )
    arguments = ("--data", tmp_path / "rows.csv", "--signature", tmp_path / "signature.toml")
    modelway("bundle", "build", source, *arguments, "-o", tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    income = bundle.signature.columns[1]
    assert (income.alias, income.datatype, income.unit) == ("income", Datatype.INT64, "USD")
    assert income.minimum == 0
    assert income.maximum == rows["ApplicantIncome"].max()
    assert bundle.signature.label_names == {"Y": "yes"}
    (tmp_path / "signature.toml").write_text(
        '[[columns]]\nname = "ApplicantIncome"\nkind = "int"\n'
    )
    done = modelway("bundle", "build", source, *arguments, "-o", tmp_path / "b", exit_code=2)
    assert "kind" in done.stderr
    (tmp_path / "signature.toml").write_text('[label_names]\nQ = "?"\nY = "yes"\n')
    done = modelway("bundle", "build", source, *arguments, "-o", tmp_path / "b", exit_code=2)
    assert "[label_names] names Q, which the model never gives" in done.stderr
    (tmp_path / "signature.toml").write_text('[[columns]]\nname = "Age"\n')
    done = modelway("bundle", "build", source, *arguments, "-o", tmp_path / "b", exit_code=2)
    assert "names what the model does not take: Age" in done.stderr


def test_who_wrote_the_pickle_is_kept(loans: Bundle) -> None:
    assert loans.record.written_with == {"scikit-learn": loans.manifest.libraries["scikit-learn"]}


def test_text_without_training_data_says_what_to_give(loan: Path, tmp_path: Path) -> None:
    done = modelway(
        "bundle", "build", loan / "model.pickle", "-o", tmp_path / "bundle", exit_code=7
    )
    assert "--data" in done.stderr
    assert not any(tmp_path.iterdir())


CUSTOM = """
import json
import sys
from sklearn.base import BaseEstimator, RegressorMixin

FACTOR = json.loads("3")

def times(x):
    return x * FACTOR

class Scaled(RegressorMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self
    def predict(self, X):
        return times(X[:, 0])

sys.exit("the training runs again")
"""


def custom_pickle(module: str, folder: Path) -> Path:
    """A pickle of the class, as one of the named module, made where the class can be found."""
    source = CUSTOM.replace("sys.exit", "print")
    script = folder / "elsewhere" / f"{'train' if module == '__main__' else module}.py"
    script.parent.mkdir()
    dump = (
        f"import pickle\npickle.dump(Scaled().fit(None), open({str(folder / 'm.pkl')!r}, 'wb'))\n"
    )
    if module == "__main__":
        script.write_text(source + dump)
        subprocess.run([sys.executable, script], check=True, timeout=60, stdout=subprocess.DEVNULL)
    else:
        script.write_text(source)
        imported = f"from {module} import Scaled\n{dump}"
        subprocess.run(
            [sys.executable, "-c", imported],
            check=True,
            timeout=60,
            cwd=script.parent,
            stdout=subprocess.DEVNULL,
        )
    return folder / "m.pkl"


@pytest.mark.parametrize("module", ["__main__", "scaling"])
def test_a_pickle_of_own_classes_needs_code(module: str, tmp_path: Path) -> None:
    model = custom_pickle(module, tmp_path)
    done = modelway("bundle", "build", model, "-o", tmp_path / "bundle", exit_code=7)
    assert ("Scaled" if module == "__main__" else "scaling") in done.stderr
    assert "--code" in done.stderr

    code = tmp_path / "code"
    (code / "__pycache__").mkdir(parents=True)
    (code / ".hidden").write_text("no")
    # The script under __main__ would train again, and ends the process, if it were imported.
    text = CUSTOM if module == "__main__" else CUSTOM.replace("sys.exit", "str")
    (code / f"{'train' if module == '__main__' else module}.py").write_text(text)
    done = modelway("bundle", "build", model, "--code", code, "-o", tmp_path / "bundle")
    assert f"Code of {code}: 1 files, {len(text) / 1000:.1f} kB" in done.stderr
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.runtime == "sklearn"
    assert bundle.record.why_native
    assert [p.name for p in (bundle.folder / "code").iterdir()] == [next(code.glob("*.py")).name]
    rows = tmp_path / "rows.csv"
    rows.write_text("x1\n2\n5\n")
    for _ in range(2):  # and opening it leaves it what its digest says
        done = modelway("predict", tmp_path / "bundle", "--input", rows)
        assert done.stdout.splitlines() == ["x1,prediction", "2,6.0", "5,15.0"]


def test_code_that_cannot_be_run_again_is_said_with_what_to_do(tmp_path: Path) -> None:
    model = custom_pickle("__main__", tmp_path)
    code = tmp_path / "train.py"
    code.write_text(CUSTOM.replace('json.loads("3")', 'json.load(open("/nowhere/factor.json"))'))
    arguments = ("bundle", "build", model, "--code", code, "-o", tmp_path / "bundle")
    done = modelway(*arguments, exit_code=7)
    assert "of train.py, which a class of the model needs, cannot be run" in done.stderr
    assert "hint: put what trains the model under if __name__" in done.stderr


def test_running_its_code_leaves_a_bundle_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    (tmp_path / "rounding.py").write_text("def cents(x):\n    return round(x, 2)\n")
    (tmp_path / "rules.py").write_text(
        "def half(x: float) -> float:\n    from rounding import cents\n    return cents(x / 2)\n"
    )
    arguments = ("bundle", "build", f"{tmp_path / 'rules.py'}:half", "-o", tmp_path / "bundle")
    modelway(*arguments, "--code", tmp_path / "rounding.py")
    (tmp_path / "rows.csv").write_text("x\n3\n")
    for _ in range(2):
        done = modelway("predict", tmp_path / "bundle", "--input", tmp_path / "rows.csv")
        assert done.stdout.splitlines() == ["x,prediction", "3,1.5"]
    assert not list((tmp_path / "bundle").rglob("__pycache__"))


def test_a_pickle_is_announced_with_its_digest_or_refused(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    source = save(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path)
    folder = tmp_path / "given"
    folder.mkdir()
    done = modelway("bundle", "build", source, "--no-pickle", "-o", folder / "b", exit_code=6)
    assert "pickle" in done.stderr
    assert not any(folder.iterdir())
    done = modelway("bundle", "build", source, "-o", folder / "bundle")
    sha256 = open_bundle(folder / "bundle").record.source_sha256
    (line,) = [line for line in done.stderr.splitlines() if sha256 in line]
    assert "can run any code" in line
    done = modelway("bundle", "build", source, "-o", folder / "bundle", exit_code=4)
    assert "is there already" in done.stderr


def test_a_place_that_cannot_be_written_is_said(rule: Path, tmp_path: Path) -> None:
    arguments = ("bundle", "build", f"{rule}:double", "-o", rule / "bundle")
    done = modelway(*arguments, exit_code=2)
    assert "cannot be written: Not a directory" in done.stderr
    done = modelway("serve", f"{rule}:double", "--home", rule, "--port", "0", exit_code=2)
    assert "bundles.home" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_mlmodel_that_is_no_yaml_is_said(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: [")
    done = modelway("bundle", "build", tmp_path, "-o", tmp_path / "b", exit_code=2)
    assert "MLmodel is not YAML" in done.stderr


def test_a_model_that_ends_the_process_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import os\nprint('so far')\nos._exit(3)\ndef f(x: int): ...\n"
    )
    done = modelway(
        "bundle", "build", f"{tmp_path / 'bad.py'}:f", "-o", tmp_path / "b", exit_code=7
    )
    assert "ended with 3" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.py"]


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with one module of its own, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    create = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(create, check=True, timeout=120)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    text = CUSTOM.replace("sys.exit", "str").replace("import json\n", "import json, os\n")
    (site_packages / "scaling.py").write_text(text)
    return folder


def test_a_model_is_read_with_the_environment_it_came_from(
    other_python: Path, tmp_path: Path
) -> None:
    model = custom_pickle("scaling", tmp_path)
    arguments = ("bundle", "build", model, "-o", tmp_path / "bundle")
    modelway(*arguments, exit_code=7)
    modelway(*arguments, "--python", other_python)
    assert open_bundle(tmp_path / "bundle").manifest.runtime == "sklearn"


def test_another_python_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "rules.py"
    source.write_text("def f(x: float) -> float:\n    return x\n")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'{"python": [3, 7], "libraries": {}}\'\n')
    python.chmod(0o755)
    arguments = ("bundle", "build", f"{source}:f", "-o", tmp_path / "bundle", "--python")
    done = modelway(*arguments, python, exit_code=2)
    assert "is Python 3.7" in done.stderr
    done = modelway(*arguments, tmp_path / "nowhere", exit_code=3)
    assert "virtual environment" in done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"bundles.home": tmp_path / "home"}, folder=tmp_path, environment={})


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rules.py"
    path.write_text("def double(x: float) -> float:\n    return 2 * x\n")
    return path


def test_what_was_built_is_built_once(rule: Path, home: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    request = BuildRequest(f"{rule}:double")
    first = cached(request, home, said.append)
    assert first.parent == tmp_path / "home" / "bundles"
    assert len(said) == 1
    assert cached(request, home, said.append) == first
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(rule, moved)
    assert cached(BuildRequest(f"{moved / 'rules.py'}:double"), home, said.append) == first
    assert len(said) == 1
    rule.write_text("def double(x: float) -> float:\n    return x + x\n")
    assert cached(request, home, said.append) != first
    assert len(said) == 2


def test_a_damaged_or_missing_bundle_is_built_again(rule: Path, home: Settings) -> None:
    said: list[str] = []
    request = BuildRequest(f"{rule}:double")
    folder = cached(request, home, said.append)
    (folder / "signature.json").write_text("{}")
    assert cached(request, home, said.append) == folder
    assert answers(open_bundle(folder), {"x": 4}) == [8.0]
    shutil.rmtree(folder)
    assert cached(request, home, said.append) == folder
    assert answers(open_bundle(folder), {"x": 4}) == [8.0]
    assert len(said) == 3
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_builds_of_one_source_at_a_time_do_not_clash(rule: Path, home: Settings) -> None:
    request = BuildRequest(f"{rule}:double")
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: cached(request, home, str), range(3)))
    assert len(set(folders)) == 1
    assert answers(open_bundle(folders[0]), {"x": 4}) == [8.0]
    assert [p.name for p in folders[0].parent.iterdir()] == [folders[0].name]


def test_no_pickle_refuses_what_is_cached_too(iris_training: Path, tmp_path: Path) -> None:
    flags = {"bundles.home": tmp_path / "home", "bundles.allow_pickle": False}
    settings = load_settings(flags, folder=tmp_path, environment={})
    with pytest.raises(UnsafeFormat):
        cached(BuildRequest(str(iris_training / "model.pickle")), settings, str)


@pytest.mark.parametrize("path", ["../model.pickle", "original/model.pickle"])
def test_a_manifest_opens_nothing_outside_its_bundle(path: str, tmp_path: Path) -> None:
    save([1.0], tmp_path)
    folder = tmp_path / "bundle"
    (folder / "original").mkdir(parents=True)
    (folder / "original" / "model.pickle").symlink_to(tmp_path / "model.pickle")
    original = OriginalModel("sklearn", path, "pickle")
    manifest = Manifest(1, Task.REGRESSION, "sklearn", original, "matrix")
    signature = Signature(columns_named(["x"]))
    with pytest.raises(LoadFailed, match=r"lies outside|no model of"):
        open_runtime(folder, signature, manifest, allow_pickle=True)


def test_no_pickle_refuses_a_bundle_that_answers_with_one(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CUSTOM.replace("sys.exit", "str"))
    source = custom_pickle("__main__", tmp_path)
    folder = tmp_path / "bundle"
    modelway("bundle", "build", source, "--code", tmp_path / "train.py", "-o", folder)
    done = modelway("serve", folder, "--no-pickle", "--port", "0", exit_code=6)
    assert "answers with a pickle" in done.stderr


def test_a_notebook_makes_a_bundle_of_what_is_in_memory(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    target = frame["a"] * 2 - frame["b"]
    model = LinearRegression().fit(frame, target)
    named = api.bundle(model, frame.assign(y=target), target="y", output=tmp_path / "named")
    assert [c.name for c in named.signature.columns] == ["a", "b"]
    assert named.manifest.is_compiled
    assert named.record.name == "LinearRegression"
    assert answers(named, {"a": 1, "b": 2}) == [pytest.approx(0.0, abs=1e-9)]

    counted = LinearRegression().fit(frame.to_numpy(), target)
    bundle = api.bundle(counted, data=frame.to_numpy(), name="plain", output=tmp_path / "plain")
    column: Column = bundle.signature.columns[1]
    assert (column.name, column.maximum) == ("x2", frame["b"].max())
