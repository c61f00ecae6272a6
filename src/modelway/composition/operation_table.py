"""Every operation that there is, as the administration of a home offers them."""

from __future__ import annotations

from typing import Any

from modelway.composition.endpoint_operations import ENDPOINT_OPERATIONS
from modelway.composition.key_operations import KEY_OPERATIONS
from modelway.composition.model_operations import MODEL_OPERATIONS
from modelway.composition.operations import Operation

OPERATIONS: tuple[Operation[Any], ...] = (
    *MODEL_OPERATIONS,
    *ENDPOINT_OPERATIONS,
    *KEY_OPERATIONS,
)
