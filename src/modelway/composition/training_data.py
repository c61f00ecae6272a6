"""Files of training rows, read as arrays: CSV and Parquet, through pandas."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.bundles.training import TrainingColumn, TrainingData
from modelway.domain.errors import (
    InvalidInput,
    MalformedPayload,
    MissingExtra,
    SourceNotFound,
    UnsupportedMedia,
)
from modelway.domain.signature import Datatype

if TYPE_CHECKING:
    import pandas as pd


def read_training(
    path: Path, target: str | None, texts: Collection[str], dates: Collection[str]
) -> TrainingData:
    """The rows of the file without the target; ``texts`` and ``dates`` are read as such.

    Raises:
        SourceNotFound: there is no such file.
        UnsupportedMedia: it is neither .csv nor .parquet.
        MalformedPayload: it cannot be read, or has no rows.
        InvalidInput: it has no such target.
        MissingExtra: pandas, or pyarrow for Parquet, is not installed.
    """
    frame = _frame(path, texts)
    from pandas.api import types

    names = [str(name) for name in frame.columns]
    if target is not None and target not in names:
        raise InvalidInput(
            f"{path.name} has no column {target!r}", hint=f"it has: {', '.join(names)}"
        )
    if frame.empty:
        raise MalformedPayload(f"{path.name} has no rows")
    columns = {
        name: _column(name, frame.iloc[:, i], name in dates, path)
        for i, name in enumerate(names)
        if name != target
    }
    if len(columns) != len(names) - (target is not None):
        raise MalformedPayload(f"{path.name} names a column twice")
    rows = frame.set_axis(names, axis=1)[list(columns)]
    for name in rows.columns.intersection(list(dates)):
        if not types.is_datetime64_any_dtype(rows[name]):
            rows[name] = columns[name].values  # a CSV file has dates as text only
    return TrainingData(path.name, columns, rows)


def _frame(path: Path, texts: Collection[str]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas", "sklearn", f"reading {path.name}") from None

    if not path.is_file():
        raise SourceNotFound(str(path))
    form = path.suffix.lower()
    if form not in (".csv", ".parquet"):
        raise UnsupportedMedia(f"{path} does not end in .csv or .parquet")
    try:
        if form == ".csv":
            _check_header(pd.read_csv(path, header=None, nrows=1, dtype=object).iloc[0], path)
            return pd.read_csv(path, dtype=dict.fromkeys(texts, object))
        return pd.read_parquet(path)
    except MalformedPayload:
        raise
    except ImportError:
        raise MissingExtra("pyarrow", "arrow", f"reading {path.name}") from None
    except Exception as error:  # pandas and pyarrow raise errors of many kinds
        raise MalformedPayload(f"{path.name} cannot be read: {error}") from error


def _check_header(header: pd.Series[Any], path: Path) -> None:
    """Do nothing if no column comes twice, which pandas would rename. Raises MalformedPayload."""
    twice = header[header.notna() & header.duplicated()]
    if not twice.empty:
        raise MalformedPayload(
            f"{path.name} names a column twice: {', '.join(map(str, twice.unique()))}",
            hint="rename or leave out one of them",
        )


def _column(name: str, values: pd.Series[Any], is_date: bool, path: Path) -> TrainingColumn:
    """The values as a table holds them."""
    import pandas as pd
    from pandas.api import types

    if is_date or types.is_datetime64_any_dtype(values):
        try:
            moments = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        except (ValueError, TypeError) as error:
            raise MalformedPayload(f"{path.name}, column {name!r}: {error}") from error
        return TrainingColumn(name, Datatype.DATETIME, moments.to_numpy("datetime64[us]"))
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if types.is_bool_dtype(values) or _is_bool_with_gaps(values):
        numbers = values.astype(object).where(values.notna(), np.nan)
        return TrainingColumn(name, Datatype.BOOL, numbers.to_numpy(dtype=np.float64))
    if types.is_numeric_dtype(values) and not types.is_complex_dtype(values):
        is_whole = types.is_integer_dtype(values) and not bool(values.isna().any())
        floats = values.to_numpy(np.float64, na_value=np.nan)
        return TrainingColumn(name, Datatype.FP64, floats, is_whole)
    gone = values.isna().to_numpy()
    cells = [None if g else str(v) for v, g in zip(values, gone, strict=True)]
    texts = np.empty(len(cells), dtype=object)
    texts[:] = cells
    return TrainingColumn(name, Datatype.STRING, texts)


def _is_bool_with_gaps(values: pd.Series[Any]) -> bool:
    """Whether an object column holds Booleans and missing values and nothing else."""
    if values.dtype != object:
        return False
    kinds = {type(v) for v in values[values.notna()]}
    return bool(kinds) and kinds <= {bool, np.bool_}
