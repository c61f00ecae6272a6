"""How often a key may be used: a bucket of tokens, in each worker for itself.

It holds what a second brings, so that much may come at once; a request takes one.
"""

from __future__ import annotations


class Bucket:
    """Tokens that come at ``rate_per_s``, at first as many as it holds.

    Times are seconds of any clock that does not go back.
    """

    __slots__ = ("_at_s", "_capacity", "_tokens", "rate_per_s")

    def __init__(self, rate_per_s: float, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        # Below one a second a whole request has to fit in all the same.
        self._capacity = max(1.0, rate_per_s)
        self._tokens = self._capacity
        self._at_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token; gives 0, or the seconds until there is one, and then took none."""
        tokens = self._tokens + (now_s - self._at_s) * self.rate_per_s
        self._at_s = now_s
        if tokens > self._capacity:
            tokens = self._capacity
        if tokens < 1.0:
            self._tokens = tokens
            return (1.0 - tokens) / self.rate_per_s
        self._tokens = tokens - 1.0
        return 0.0
