"""What an answer is judged by follows from what both versions answer."""

from __future__ import annotations

from modelway.endpoints.losses import Loss, usual_loss


def test_the_usual_loss_is_what_both_versions_can_be_asked_for() -> None:
    assert usual_loss(classes=True, probabilities=True) is Loss.BRIER
    assert usual_loss(classes=True, probabilities=False) is Loss.WRONG
    assert usual_loss(classes=False, probabilities=False) is Loss.ABSOLUTE
