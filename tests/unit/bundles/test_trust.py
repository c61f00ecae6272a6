"""Versions of libraries: what a bundle was made with, and what is here."""

from __future__ import annotations

import pickle
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.trust import (
    check_original_allowed,
    pinned,
    sklearn_version_in,
    version_differences,
)
from modelway.domain.errors import LoadFailed, UnsafeFormat


def manifest(**libraries: str) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        task=Task.REGRESSION,
        runtime="sklearn",
        original=OriginalModel("sklearn", "original/model.pickle", "pickle"),
        layout="matrix",
        libraries=libraries,
    )


def test_only_other_versions_are_said() -> None:
    said = version_differences(manifest(numpy="1.0.0", msgspec=version("msgspec"), nothing="2"))
    assert said == [
        "made with nothing 2, opened with none; answers may differ",
        f"made with numpy 1.0.0, opened with {version('numpy')}; answers may differ",
    ]


def test_requirements_are_pinned_in_order() -> None:
    assert pinned({"numpy": "2.1", "joblib": "1.4"}) == "joblib==1.4\nnumpy==2.1\n"


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_version_that_wrote_a_pickle_is_found_in_it(protocol: int, tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LinearRegression

    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(LinearRegression().fit([[1.0]], [1.0]), protocol=protocol))
    assert sklearn_version_in(path) == sklearn.__version__
    path.write_bytes(path.read_bytes().replace(sklearn.__version__.encode(), b"1.3.2"))
    assert sklearn_version_in(path) == "1.3.2"


def test_a_file_without_a_version_has_none(tmp_path: Path) -> None:
    path = tmp_path / "model.pickle"
    path.write_bytes(b"")
    assert sklearn_version_in(path) is None
    path.write_bytes(pickle.dumps([1.0]))
    assert sklearn_version_in(path) is None


def test_a_bundle_that_answers_with_a_pickle_may_be_refused(tmp_path: Path) -> None:
    check_original_allowed(tmp_path, manifest(), allow_pickle=True)
    with pytest.raises(UnsafeFormat, match="answers with a pickle"):
        check_original_allowed(tmp_path, manifest(), allow_pickle=False)


@pytest.mark.parametrize(
    "original",
    [
        OriginalModel("sklearn", "original/model.pickle", "skops"),
        OriginalModel("sklearn", "original/model.skops", "pickle"),
        OriginalModel("sklearn", "/tmp/model.pickle", "pickle"),
        OriginalModel("sklearn", "original/model.pickle", "python"),
        OriginalModel("onnx", "original/model.onnx", "onnx"),
        OriginalModel("sklearn", "original/model.pickle", "unheard-of"),
    ],
)
def test_a_manifest_that_calls_a_pickle_something_else_is_refused(
    original: OriginalModel, tmp_path: Path
) -> None:
    forged = msgspec.structs.replace(manifest(), original=original)
    with pytest.raises(LoadFailed):
        check_original_allowed(tmp_path, forged, allow_pickle=False)
