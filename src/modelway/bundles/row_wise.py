"""Whether a model answers a row alike alone and among others, found by asking it.

Only then may rows of several requests be put into one call. The answers to rows asked alone are
held against those to the same rows in batches of several sizes, in another order, and beside copies
of themselves. Code of one's own is never taken for row-wise, however it answers here: it is given
its rows together so that it may look at them together.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Manifest
from modelway.bundles.parity import TOLERANCE
from modelway.bundles.ports import Runtime
from modelway.domain.inference import Outputs
from modelway.domain.tables import Array, Table

MOST_ROWS = 64
LARGEST_ROWS = 256

_SIZES = (2, 7, MOST_ROWS)
_CODE = ("mlflow", "python_function")
_FEW_ROWS = 8
_SEED = 20_260_117

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RowWise:
    """``holds``: labels are equal and values within the gate's tolerance in every batch.

    ``to_the_bit``: so are all bits; where nothing could be compared, neither is so.
    """

    holds: bool
    to_the_bit: bool


def row_wise(runtime: Runtime, rows: Table, manifest: Manifest) -> RowWise:
    """Ask the model of a bundle the ``rows``, of which at most ``MOST_ROWS`` are taken evenly.

    ``rows`` fit a signature of columns. Rows that the model refuses alone are left out. Nothing
    that it raises comes through.
    """
    is_code = manifest.runtime in _CODE
    most = _FEW_ROWS if is_code else MOST_ROWS
    places = np.unique(np.linspace(0, rows.n_rows - 1, min(most, rows.n_rows)).astype(np.intp))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        answered = [(i, found) for i in places if (found := _asked(runtime, rows, [i])) is not None]
        if len(answered) < 2:
            return RowWise(holds=False, to_the_bit=False)
        alone = {int(i): found for i, found in answered}
        holds = to_the_bit = True
        for batch in _batches(np.array([i for i, _ in answered], dtype=np.intp)):
            given = _asked(runtime, rows, batch)
            if given is None or not all(
                _near(_row(given, k), alone[int(i)]) for k, i in enumerate(batch)
            ):
                return RowWise(holds=False, to_the_bit=False)
            to_the_bit &= all(_same(_row(given, k), alone[int(i)]) for k, i in enumerate(batch))
    return RowWise(holds=holds and not is_code, to_the_bit=to_the_bit)


def _batches(places: Places) -> Iterator[Places]:
    """The rows in batches of several sizes, then all in another order, then many times over."""
    for size in _SIZES:
        for start in range(0, len(places), size):
            yield places[start : start + size]
    rng = np.random.Generator(np.random.PCG64(_SEED))
    yield rng.permutation(places)
    yield rng.choice(places, LARGEST_ROWS)


def _asked(runtime: Runtime, rows: Table, places: Sequence[int] | Places) -> Outputs | None:
    """The outputs for these rows; None where the model refuses them, or gives no answer a row."""
    try:
        outputs = runtime.predict(rows.rows(np.asarray(places, dtype=np.intp)))
        fits = outputs and all(a.shape[:1] == (len(places),) for a in outputs.values())
    except (Exception, SystemExit):  # noqa: BLE001 - a model may refuse rows in any way
        return None
    return outputs if fits else None


def _row(outputs: Outputs, k: int) -> Outputs:
    return {name: array[k : k + 1] for name, array in outputs.items()}


def _near(given: Outputs, right: Outputs) -> bool:
    return list(given) == list(right) and all(_is_near(given[n], right[n]) for n in right)


def _is_near(given: Array, right: Array) -> bool:
    if given.shape != right.shape or given.dtype.kind != right.dtype.kind:
        return False
    if right.dtype.kind not in "fc":
        return bool(given.tolist() == right.tolist())
    off = np.abs(given - right) / np.maximum(1.0, np.abs(right))
    same = (given == right) | (np.isnan(given) & np.isnan(right))
    return bool(
        np.where(same, 0.0, np.where(np.isnan(off), np.inf, off)).max(initial=0) <= TOLERANCE
    )


def _same(given: Outputs, right: Outputs) -> bool:
    return all(
        given[name].tolist() == array.tolist()
        if array.dtype.kind in "OUS"
        else given[name].dtype == array.dtype and given[name].tobytes() == array.tobytes()
        for name, array in right.items()
    )
