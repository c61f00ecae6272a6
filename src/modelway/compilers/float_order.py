"""The float64 numbers in their order, as integers that can be halved and counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BISECTIONS = 66
"""So many halvings part any two float64 numbers."""


def ordered(values: Floats) -> Ints:
    """Integers in the order of the floats, neighbours for neighbours."""
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def floats(places: Ints) -> Floats:
    """The floats at these places of the order."""
    found: Floats = np.where(places < 0, np.int64(-(2**63)) - places, places).view(np.float64)
    return found


def middle(low: Ints, high: Ints) -> Ints:
    """The place in the middle, rounded down.

    Halved before they are added: the sum of two such integers may not fit.
    """
    halved: Ints = (low >> 1) + (high >> 1) + (low & high & 1)
    return halved
