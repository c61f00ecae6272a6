"""What is recorded and what is not: sampling, and columns that are dropped or hashed.

Everything here happens before anything is written. Whether a prediction is sampled follows from its
id and the rate alone: a live answer, its shadows and its label are kept or left out together, in
every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelway.domain.errors import BadValue

_HASH_BYTES = 16
_SPAN = 2**64


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """What is recorded of one endpoint.

    ``sampling_rate`` is the share of predictions that are recorded, 0 to 1. ``dropped`` and
    ``hashed`` are columns (or tensors) by their names in the signature; one in both is dropped.

    Raises:
        BadValue: the rate is not from 0 to 1.
    """

    sampling_rate: float = 1.0
    dropped: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0.0 <= self.sampling_rate <= 1.0:
            raise BadValue(
                f"a sampling rate is from 0 to 1, got {self.sampling_rate!r}",
                hint="1 records every prediction, 0.01 one in a hundred, 0 none",
            )

    def keeps(self, prediction_id: str) -> bool:
        """Whether the prediction is recorded, all its rows or none."""
        if self.sampling_rate >= 1.0:
            return True
        digest = hashlib.blake2b(prediction_id.encode("utf-8", "backslashreplace"), digest_size=8)
        return int.from_bytes(digest.digest(), "big") < self.sampling_rate * _SPAN

    def form(self, column: str) -> str:
        """What becomes of a column: ``kept``, ``hashed`` or ``dropped``."""
        if column in self.dropped:
            return "dropped"
        return "hashed" if column in self.hashed else "kept"


@dataclass(frozen=True, slots=True)
class RecordingPolicy:
    """The policy of every endpoint; ``key`` is the home's own, at most 64 bytes.

    Raises:
        BadValue: columns are to be hashed without a key, or with one that is too long.
    """

    default: EndpointPolicy = field(default_factory=EndpointPolicy)
    endpoints: Mapping[str, EndpointPolicy] = field(default_factory=dict)
    key: bytes = b""

    def __post_init__(self) -> None:
        hashes = any(one.hashed for one in (self.default, *self.endpoints.values()))
        if hashes and not self.key:
            raise BadValue("columns are hashed with a key of the home, and there is none")
        if len(self.key) > hashlib.blake2b.MAX_KEY_SIZE:
            most = hashlib.blake2b.MAX_KEY_SIZE
            raise BadValue(f"the key for hashing has at most {most} bytes, got {len(self.key)}")

    def of(self, endpoint: str) -> EndpointPolicy:
        """The policy of an endpoint."""
        return self.endpoints.get(endpoint, self.default)


def hashed_text(value: object, key: bytes) -> str:
    """What stands in a record for a value: keyed BLAKE2b as 32 hexadecimal digits.

    Whole numbers hash alike whether they came as 7 or as 7.0; texts as their UTF-8.

    Source: RFC 7693.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(raw, digest_size=_HASH_BYTES, key=key).hexdigest()
