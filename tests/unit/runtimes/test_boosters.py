"""Boosters fitted on categories of a DataFrame answer values as their own ``predict`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.pipeline import make_pipeline

from modelway.bundles.manifest import FORMAT_VERSION, Manifest, OriginalModel, Task
from modelway.bundles.ports import Framework, Runtime
from modelway.domain.errors import InputRefused, LoadFailed
from modelway.domain.signature import Datatype, Signature, columns_named
from modelway.domain.tables import Table
from modelway.runtimes.boosters import categories_in, frame_kinds
from modelway.runtimes.catboost import CatboostFramework
from modelway.runtimes.frames import frame_of
from modelway.runtimes.lightgbm import LightgbmFramework
from modelway.runtimes.xgboost import XgboostFramework
from support.categories import NUMBERS, TEXTS, asked, framed, table_of

BOTH = pytest.mark.parametrize("categories", [TEXTS, NUMBERS], ids=["texts", "numbers"])
QUIET: dict[str, Any] = {"iterations": 8, "verbose": False, "allow_writing_files": False}


def lightgbm_model(categories: tuple[Any, ...]) -> Any:
    return lightgbm.LGBMRegressor(
        n_estimators=12, min_data_per_group=5, cat_smooth=1, n_jobs=1, verbose=-1
    ).fit(*framed(categories))


def xgboost_model(categories: tuple[Any, ...], **more: Any) -> Any:
    return xgboost.XGBRegressor(
        n_estimators=12, n_jobs=1, enable_categorical=True, max_cat_to_onehot=1, **more
    ).fit(*framed(categories))


def reopened(kind: Framework, path: Path) -> tuple[Runtime, Signature]:
    model = kind.load(path, None)
    said = kind.describe(model)
    assert said.signature is not None
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        task=said.task,
        runtime="any",
        original=OriginalModel("any", path.name, "any", None),
        layout=said.layout,
        classes=said.classes,
        probabilities=said.probabilities,
    )
    return kind.open(model, said.signature, manifest), said.signature


@BOTH
def test_lightgbm_takes_values_and_an_unseen_one_as_missing(
    categories: tuple[Any, ...], tmp_path: Path
) -> None:
    model = lightgbm_model(categories)
    model.booster_.save_model(tmp_path / "model.txt")
    runtime, signature = reopened(LightgbmFramework(), tmp_path / "model.txt")
    column = signature.columns[1]
    assert (column.datatype, column.categories) == (Datatype.CATEGORICAL, categories)
    assert (column.nullable, column.closed) == (True, False)
    rows = asked(categories, "pink" if categories is TEXTS else 99)
    given = runtime.predict(table_of(rows, signature))["prediction"]
    np.testing.assert_array_equal(given, model.predict(rows))


@BOTH
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("suffix", [".ubj", ".json"])
def test_xgboost_takes_values_and_refuses_an_unseen_one(
    categories: tuple[Any, ...], booster: str, suffix: str, tmp_path: Path
) -> None:
    model = xgboost_model(categories, booster=booster)
    path = (tmp_path / "model").with_suffix(suffix)
    model.get_booster().save_model(path)
    runtime, signature = reopened(XgboostFramework(), path)
    column = signature.columns[1]
    assert (column.datatype, column.categories) == (Datatype.CATEGORICAL, categories)
    assert (column.nullable, column.closed) == (True, True)
    rows = asked(categories)
    given = runtime.predict(table_of(rows, signature))["prediction"]
    expected = model.get_booster().predict(xgboost.DMatrix(rows, enable_categorical=True))
    np.testing.assert_array_equal(given, expected)
    # XGBoost itself takes both for categories that follow them in order.
    unseen = asked(categories, "pink" if categories is TEXTS else 15)
    with pytest.raises(InputRefused, match="category"):
        runtime.predict(table_of(unseen, signature))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_numbers_of_any_width_are_categories_of_xgboost(dtype: str) -> None:
    rows, target = framed(NUMBERS)
    codes = rows["kind"].cat.codes
    rows["kind"] = pd.Categorical.from_codes(codes, pd.Index(NUMBERS, dtype=dtype))
    model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1, enable_categorical=True)
    model.fit(rows, target)
    assert categories_in(model)[1].values.dtype == np.dtype(dtype)
    signature = Signature(columns_named(["size", "kind"]))
    frame = frame_of(table_of(rows, signature), kinds=frame_kinds(model))
    np.testing.assert_array_equal(model.predict(frame), model.predict(rows))


@BOTH
@pytest.mark.parametrize("fitted", [lightgbm_model, xgboost_model])
def test_frames_for_a_wrapper_have_its_categories(
    fitted: Callable[[Any], Any], categories: tuple[Any, ...]
) -> None:
    model = fitted(categories)
    rows = asked(categories)
    signature = Signature((columns_named(["size"])[0], categories_in(model)[1].column("kind", 1)))
    table = table_of(rows, signature)
    for kinds in (frame_kinds(model), frame_kinds(make_pipeline("passthrough", model))):
        frame = frame_of(table, kinds=kinds)
        assert frame["kind"].cat.categories.tolist() == list(categories)
        np.testing.assert_array_equal(model.predict(frame), model.predict(rows))


def test_a_step_before_the_booster_hides_the_columns() -> None:
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(), lightgbm_model(TEXTS))
    assert not categories_in(model)
    assert not frame_kinds(model)


def test_booleans_and_fractions_are_categories_of_lightgbm() -> None:
    for values, datatype in (((True, False), Datatype.BOOL), ((1.5, 2.5), Datatype.FP64)):
        model = lightgbm_model(values)
        said = LightgbmFramework().describe(model.booster_).signature
        assert said is not None
        assert said.columns[1].datatype is datatype
        frame = frame_of(table_of(asked(values), said), kinds=frame_kinds(model))
        np.testing.assert_array_equal(model.predict(frame), model.predict(asked(values)))


def test_lightgbm_that_does_not_say_which_columns_had_categories_is_refused() -> None:
    rows, target = framed(TEXTS)
    rows["step"] = np.arange(len(rows)) % 3
    ordered = rows.assign(kind=rows["kind"].cat.as_ordered())
    for frame, named in ((ordered, "auto"), (rows, ["step", "kind"])):
        model = lightgbm.LGBMRegressor(n_estimators=2, n_jobs=1, verbose=-1)
        model.fit(frame, target, categorical_feature=named)
        with pytest.raises(LoadFailed, match="does not say"):
            LightgbmFramework().describe(model.booster_)
    # As many lists as features, and yet not theirs: "step" has more values than there are texts.
    rows["step"] = np.arange(len(rows)) % 30
    model = lightgbm.LGBMRegressor(n_estimators=2, n_jobs=1, verbose=-1)
    model.fit(rows, target, categorical_feature=["step"])
    with pytest.raises(LoadFailed, match="does not say"):
        LightgbmFramework().describe(model.booster_)


def test_categories_that_no_request_can_hold_are_refused() -> None:
    model = lightgbm_model(("red", 7))
    with pytest.raises(LoadFailed, match="'kind' are neither texts nor numbers"):
        LightgbmFramework().describe(model.booster_)


def test_xgboost_that_lost_its_categories_is_refused() -> None:
    with pytest.raises(LoadFailed, match="ASCII"):
        XgboostFramework().describe(xgboost_model(("é", "漢")).get_booster())
    kinds = {"feature_types": ["q", "c"], "enable_categorical": True}
    rows = np.stack([np.arange(90.0), np.arange(90) % 4], axis=1)
    named = xgboost.DMatrix(rows, rows[:, 1], feature_names=["size", "kind"], **kinds)
    with pytest.raises(LoadFailed, match="not which values"):
        XgboostFramework().describe(xgboost.train({"nthread": 1}, named, 2))
    coded = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, rows[:, 1], **kinds), 2)
    said = XgboostFramework().describe(coded).signature
    assert said is not None
    assert said.columns[1].datatype is Datatype.FP64


def test_catboost_takes_whole_numbers_as_categories(tmp_path: Path) -> None:
    rows, target = framed(NUMBERS)
    rows = rows.assign(kind=rows["kind"].astype(object).fillna(10).astype(int))
    model = catboost.CatBoostRegressor(**QUIET, cat_features=["kind"]).fit(rows, target)
    model.save_model(tmp_path / "model.cbm")
    runtime, _ = reopened(CatboostFramework(), tmp_path / "model.cbm")
    numeric = Signature(columns_named(["size", "kind"]))
    table = Table(numeric, len(rows), matrix=rows.to_numpy(dtype=np.float64))
    np.testing.assert_array_equal(runtime.predict(table)["prediction"], model.predict(rows))
    frame = frame_of(table, kinds=frame_kinds(model))
    np.testing.assert_array_equal(model.predict(frame), model.predict(rows))
    for wrong in (1.5, np.nan):
        with pytest.raises(InputRefused, match="category"):
            runtime.predict(Table(numeric, 1, matrix=np.array([[0.0, wrong]])))


@pytest.mark.parametrize("loss", ["MultiLogloss", "MultiCrossEntropy"])
def test_catboost_with_several_labels_gives_all_of_them(loss: str, tmp_path: Path) -> None:
    rows, target = framed(NUMBERS)
    labels = np.stack([target > 0, target > 4], axis=1).astype(int)
    model = catboost.CatBoostClassifier(**QUIET, loss_function=loss).fit(rows[["size"]], labels)
    model.save_model(tmp_path / "model.cbm")
    kind = CatboostFramework()
    said = kind.describe(kind.load(tmp_path / "model.cbm", None))
    assert (said.task, said.classes, said.probabilities) == (Task.FUNCTION, None, False)
    runtime, signature = reopened(kind, tmp_path / "model.cbm")
    table = Table(signature, 9, matrix=rows[["size"]].to_numpy(dtype=np.float64)[:9])
    given = runtime.predict(table)["prediction"]
    np.testing.assert_array_equal(given, model.predict(pd.DataFrame(rows[["size"]][:9])))
