"""Files of training rows as columns, and what of them cannot be taken as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelway.composition.training_data import read_training
from modelway.domain.errors import InvalidSignature

BEYOND = 2**60


def test_which_columns_are_of_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b,c,d,e\n1,1.0,1,x,true\n2,2.0,,y,false\n")
    columns = read_training(tmp_path / "rows.csv", None, (), ()).columns
    assert [name for name, column in columns.items() if column.is_whole] == ["a"]
    assert columns["a"].values.dtype == np.float64


def test_the_frame_has_the_types_of_the_file_and_not_the_target(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,day,code,y\n1,2024-05-17,07,0\n2,2024-05-18,08,1\n")
    training = read_training(tmp_path / "rows.csv", "y", ("code",), ("day",))
    assert [str(kind) for kind in training.frame.dtypes] == ["int64", "datetime64[us]", "object"]
    renamed = training.called(["code", "a"]).frame
    assert renamed.to_dict("list") == {"code": ["07", "08"], "a": [1, 2]}


def test_whole_numbers_that_a_float64_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    large = [BEYOND, BEYOND + 1, BEYOND + 2]
    pd.DataFrame({"id": large, "size": [1e300, 2.0, 3.0], "n": [1, 2, 3]}).to_parquet(path)
    training = read_training(path, None, (), ())
    with pytest.raises(InvalidSignature, match=r"rows\.parquet, column 'id'"):
        training.check_exact()
    training.called(["size", "n"]).check_exact()
    text = tmp_path / "rows.csv"
    text.write_text(f"id\n{BEYOND}\n{BEYOND + 1}\n")
    read_training(text, None, ("id",), ()).check_exact()
