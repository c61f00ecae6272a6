"""How wrong an answer was, once its label has come: a number that is the smaller the better.

Losses of classes are within [0, 1], or clipped. Those of numbers are in the unit of the target, or
its square, and are scaled by the spread of the live version's labels where they are judged, so
that 1 is what always answering the mean would lose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Scalar

LEAST_PROBABILITY = 1e-3
"""The probability that log loss takes for less: a label given none costs 6.9, not infinity, and
one row does not outweigh hundreds."""


class Loss(StrEnum):
    """What is lost by an answer.

    ``WRONG`` is 1 for another class than the label and 0 for the label's. ``BRIER`` is half the
    squared distance of the probabilities from the label's, within [0, 1]. ``LOG`` is minus the
    logarithm of the label's probability. ``ABSOLUTE`` and ``SQUARED`` are errors of numbers.
    """

    WRONG = "wrong"
    BRIER = "brier"
    LOG = "log"
    ABSOLUTE = "absolute"
    SQUARED = "squared"

    @property
    def is_of_numbers(self) -> bool:
        """Whether it compares numbers, not classes."""
        return self in (Loss.ABSOLUTE, Loss.SQUARED)


def usual_loss(*, classes: bool, probabilities: bool) -> Loss:
    """Brier's where both versions give probabilities, else what is wrong; numbers by their
    absolute error, which a few far ones do not rule.
    """
    if not classes:
        return Loss.ABSOLUTE
    return Loss.BRIER if probabilities else Loss.WRONG


def class_loss(
    loss: Loss,
    label: Scalar,
    classes: Sequence[Scalar],
    class_index: int,
    probabilities: Sequence[float] | None = None,
) -> float:
    """What one row lost that was answered with the class at ``class_index``.

    ``probabilities`` are in the order of ``classes``. A label that is none of the classes has the
    probability 0.

    Raises:
        InvalidInput: a loss of numbers, a label of another type than the classes, an index beyond
            them, no probabilities where the loss is of these, or some that are not probabilities.
    """
    if loss.is_of_numbers:
        raise InvalidInput(f"the loss {loss.value!r} is of numbers, and the model answers classes")
    if any(isinstance(label, str) != isinstance(one, str) for one in classes):
        raise InvalidInput(f"the label {label!r} is of another type than classes {list(classes)}")
    if not 0 <= class_index < len(classes):
        raise InvalidInput(f"class {class_index} was answered, and there are {len(classes)}")
    if loss is Loss.WRONG:
        return float(classes[class_index] != label)
    if probabilities is None or len(probabilities) != len(classes):
        came = 0 if probabilities is None else len(probabilities)
        raise InvalidInput(
            f"the loss {loss.value!r} needs {len(classes)} probabilities, got {came}"
        )
    if not all(0.0 <= p <= 1.0 for p in probabilities):
        raise InvalidInput(f"expected probabilities within [0, 1], got {list(probabilities)}")
    given = next((p for p, one in zip(probabilities, classes, strict=True) if one == label), 0.0)
    if loss is Loss.LOG:
        return -math.log(max(given, LEAST_PROBABILITY))
    squares = sum(p * p for p in probabilities)
    return min(1.0, (squares - given * given + (1.0 - given) ** 2) / 2.0)


def number_loss(loss: Loss, label: float, prediction: float) -> float:
    """What one row lost that was answered with a number.

    Raises:
        InvalidInput: a loss of classes, or a label or prediction that is no finite number.
    """
    if not loss.is_of_numbers:
        raise InvalidInput(f"the loss {loss.value!r} is of classes, and the model answers numbers")
    for name, value in (("label", label), ("prediction", prediction)):
        if isinstance(value, str) or not math.isfinite(value):
            raise InvalidInput(f"expected a {name} that is a finite number, got {value!r}")
    error = abs(float(label) - float(prediction))
    return error if loss is Loss.ABSOLUTE else error * error
