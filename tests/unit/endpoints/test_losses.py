"""What an answer lost, and what cannot be compared with a label."""

from __future__ import annotations

import math

import pytest

from modelway.domain.errors import InvalidInput
from modelway.endpoints.losses import LEAST_PROBABILITY, Loss, class_loss, number_loss, usual_loss

CLASSES = ("no", "perhaps", "yes")


def test_a_wrong_class_loses_one() -> None:
    assert class_loss(Loss.WRONG, "yes", CLASSES, 2) == 0.0
    assert class_loss(Loss.WRONG, "yes", CLASSES, 0) == 1.0
    assert class_loss(Loss.WRONG, 1, (0, 1), 1) == 0.0
    assert class_loss(Loss.WRONG, True, (False, True), 0) == 1.0


def test_probabilities_lose_by_their_distance_from_the_label() -> None:
    given = (0.1, 0.3, 0.6)
    assert class_loss(Loss.BRIER, "yes", CLASSES, 2, given) == pytest.approx(
        (0.1**2 + 0.3**2 + 0.4**2) / 2
    )
    assert class_loss(Loss.BRIER, "no", CLASSES, 2, (0.0, 0.0, 1.0)) == 1.0
    assert class_loss(Loss.BRIER, "yes", CLASSES, 2, (0.0, 0.0, 1.0)) == 0.0
    assert class_loss(Loss.LOG, "perhaps", CLASSES, 2, given) == pytest.approx(-math.log(0.3))


def test_a_label_given_no_probability_loses_no_more_than_the_bound() -> None:
    worst = -math.log(LEAST_PROBABILITY)
    assert class_loss(Loss.LOG, "no", CLASSES, 2, (0.0, 0.0, 1.0)) == pytest.approx(worst)


def test_a_label_that_is_none_of_the_classes_was_answered_wrongly() -> None:
    given = (0.0, 0.0, 1.0)
    assert class_loss(Loss.WRONG, "never", CLASSES, 2) == 1.0
    assert class_loss(Loss.BRIER, "never", CLASSES, 2, given) == 1.0
    assert class_loss(Loss.LOG, "never", CLASSES, 2, given) == pytest.approx(6.9, abs=0.01)


def test_numbers_lose_their_error() -> None:
    assert number_loss(Loss.ABSOLUTE, 3.0, 1.0) == 2.0
    assert number_loss(Loss.SQUARED, 3.0, 1.0) == 4.0


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidInput, match="another type"):
        class_loss(Loss.WRONG, "1", (0, 1), 0)
    with pytest.raises(InvalidInput, match="is of numbers"):
        class_loss(Loss.SQUARED, 1, (0, 1), 0)
    with pytest.raises(InvalidInput, match="class 3 was answered, and there are 3"):
        class_loss(Loss.WRONG, "no", CLASSES, 3)
    with pytest.raises(InvalidInput, match="needs 3 probabilities, got 0"):
        class_loss(Loss.BRIER, "no", CLASSES, 0)
    with pytest.raises(InvalidInput, match="needs 3 probabilities, got 2"):
        class_loss(Loss.LOG, "no", CLASSES, 0, (0.5, 0.5))
    with pytest.raises(InvalidInput, match=r"within \[0, 1\]"):
        class_loss(Loss.LOG, "no", CLASSES, 0, (math.nan, 0.5, 0.5))
    with pytest.raises(InvalidInput, match="is of classes"):
        number_loss(Loss.WRONG, 1.0, 1.0)
    with pytest.raises(InvalidInput, match="prediction that is a finite number, got nan"):
        number_loss(Loss.ABSOLUTE, 1.0, math.nan)
    with pytest.raises(InvalidInput, match="label that is a finite number, got 'low'"):
        number_loss(Loss.ABSOLUTE, "low", 1.0)  # type: ignore[arg-type] # as a label may come


def test_the_usual_loss_is_what_both_versions_can_be_asked_for() -> None:
    assert usual_loss(classes=True, probabilities=True) is Loss.BRIER
    assert usual_loss(classes=True, probabilities=False) is Loss.WRONG
    assert usual_loss(classes=False, probabilities=False) is Loss.ABSOLUTE
