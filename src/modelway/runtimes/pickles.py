"""Files with Python objects: pickles, which run code when they are read, and skops files.

A skops file runs none: only types that skops trusts are read, and those of LightGBM's estimators,
which MLflow saves so.
"""

from __future__ import annotations

from pathlib import Path

from modelway.domain.errors import LoadFailed, MissingExtra, UnsafeFormat

TRUSTED = [
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
]


def read_pickle(path: Path) -> object:
    """What the pickle holds; joblib and cloudpickle write pickles too. Raises LoadFailed."""
    import joblib

    try:
        return joblib.load(path)
    except LoadFailed:
        raise  # the code that came with it says what is wrong
    except (ImportError, AttributeError) as error:
        raise LoadFailed(
            f"{path.name} needs Python code that is not here: {error}",
            hint="give the file or folder that defines it with --code, or the environment the "
            "model was made in with --python",
        ) from error
    except Exception as error:  # reading a pickle may raise anything at all
        raise LoadFailed(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            hint="if other versions of its libraries made it, give their environment with --python",
        ) from error


def read_skops(path: Path) -> object:
    """What the skops file holds. Raises LoadFailed, UnsafeFormat, MissingExtra."""
    try:
        from skops import io
    except ImportError:
        raise MissingExtra("skops", "skops", f"reading {path.name}") from None

    unknown = [one for one in io.get_untrusted_types(file=path) if one not in TRUSTED]
    if unknown:
        raise UnsafeFormat(
            f"{path.name} holds types that skops does not trust: {', '.join(unknown)}",
            hint="a pickle of the same model can be served, if you trust where it came from",
        )
    try:
        return io.load(path, trusted=TRUSTED)
    except Exception as error:  # reading foreign objects may raise anything at all
        raise LoadFailed(f"{path.name} cannot be read: {type(error).__name__}: {error}") from error
