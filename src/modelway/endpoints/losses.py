"""How wrong an answer was, once its label has come: a number that is the smaller the better.

Losses of classes are within [0, 1]. Those of numbers are in the unit of the target and are scaled
by the spread of the live version's labels where they are judged, so that 1 is about what always
answering the mean would lose.
"""

from __future__ import annotations

from enum import StrEnum


class Loss(StrEnum):
    """What is lost by an answer.

    ``WRONG`` is 1 for another class than the label and 0 for the label's. ``BRIER`` is half the
    squared distance of the probabilities from the label's, within [0, 1]; a label that is none of
    the classes has the probability 0. ``ABSOLUTE`` is the distance of a number.
    """

    WRONG = "wrong"
    BRIER = "brier"
    ABSOLUTE = "absolute"


def usual_loss(*, classes: bool, probabilities: bool) -> Loss:
    """Brier's where both versions give probabilities, else what is wrong; numbers by their
    absolute error, which a few far ones do not rule.
    """
    if not classes:
        return Loss.ABSOLUTE
    return Loss.BRIER if probabilities else Loss.WRONG
