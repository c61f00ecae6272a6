"""What one model's answers cost: a fixed time a call and a time for each unit of work.

A unit is a row, or an element where a model takes tensors. The two figures are those with the least
squared relative error over what was measured, the newest counting most: small calls say what the
fixed part is, large ones what a unit is, and neither drowns the other. A call that is far off what
was expected is taken for at most ``OUTLIER`` times that, so one that was slow by accident moves
little; ``BELIEVED`` of them in a row are no accident, and what was known before is forgotten.

Source: weighted least squares with exponential forgetting, Ljung, "System Identification", 11.2.
"""

from __future__ import annotations

FORGETTING = 0.97
"""How much a measurement weighs beside the next one: about the last thirty count."""

OUTLIER = 4.0
BELIEVED = 3
UNBOUNDED = 2**62

_SHORTEST_S = 1e-7
_SPREAD = 1e-3
_NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)


class Cost:
    """``fixed_s + unit_s * units`` seconds; nothing is known before the first measurement.

    ``surprises`` is how many calls in a row were far off what was expected.
    """

    __slots__ = ("_sums", "fixed_s", "is_known", "surprises", "unit_s")

    def __init__(self) -> None:
        self.fixed_s = 0.0
        self.unit_s = 0.0
        self.is_known = False
        self.surprises = 0
        self._sums = _NOTHING

    def seconds(self, units: int) -> float:
        """How long a call of this many units is expected to take."""
        return self.fixed_s + self.unit_s * units

    def most_units(self, seconds: float) -> int:
        """The most units that are expected to take no longer than this; 0 where not even one is."""
        if not self.is_known or self.seconds(1) > seconds:
            return 0
        if self.unit_s * UNBOUNDED <= seconds - self.fixed_s:
            return UNBOUNDED
        return int((seconds - self.fixed_s) / self.unit_s)

    def learn(self, units: int, seconds: float) -> None:
        """Take in that a call of this many units took this long."""
        y = max(seconds, _SHORTEST_S)
        if self.is_known:
            expected = max(self.seconds(units), _SHORTEST_S)
            if y > expected * OUTLIER or y < expected / OUTLIER:
                self.surprises += 1
            else:
                self.surprises = 0
            if self.surprises >= BELIEVED:
                self.surprises, self._sums, self.is_known = 0, _NOTHING, False
            else:
                y = min(y, expected * OUTLIER)
        self._fit(float(max(units, 1)), y)
        self.is_known = True

    def _fit(self, x: float, y: float) -> None:
        w, wx, wy, wxx, wxy = (FORGETTING * one for one in self._sums)
        weight = self._weight(x)
        w += weight
        wx += weight * x
        wy += weight * y
        wxx += weight * x * x
        wxy += weight * x * y
        self._sums = (w, wx, wy, wxx, wxy)
        spread = w * wxx - wx * wx
        if spread > _SPREAD * w * wxx:
            unit_s = max(0.0, (w * wxy - wx * wy) / spread)
        elif self.is_known:
            # Calls of one size say nothing of the slope: what others once said stays.
            unit_s = self.unit_s
        else:
            unit_s = wy / wx
        fixed_s = (wy - unit_s * wx) / w
        if fixed_s < 0.0:
            fixed_s, unit_s = 0.0, wxy / wxx
        self.fixed_s, self.unit_s = fixed_s, unit_s

    def _weight(self, x: float) -> float:
        """One over the square of what the call is expected to take, in calls of one unit."""
        if not self.is_known:
            return 1.0 / (x * x)
        expected = self.seconds(1) / max(self.fixed_s + self.unit_s * x, _SHORTEST_S)
        return min(1.0, expected * expected)
