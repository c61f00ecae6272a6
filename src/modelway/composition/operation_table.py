"""Every operation that there is, as the administration of a home offers them."""

from __future__ import annotations

from typing import Any

from modelway.composition.apply_operation import APPLY_OPERATIONS
from modelway.composition.endpoint_operations import ENDPOINT_OPERATIONS
from modelway.composition.job_operations import JOB_OPERATIONS
from modelway.composition.key_operations import KEY_OPERATIONS
from modelway.composition.label_operations import LABEL_OPERATIONS
from modelway.composition.model_operations import MODEL_OPERATIONS
from modelway.composition.operations import Operation
from modelway.composition.record_operations import RECORD_OPERATIONS
from modelway.composition.schedule_operations import SCHEDULE_OPERATIONS
from modelway.composition.trace_operations import TRACE_OPERATIONS

OPERATIONS: tuple[Operation[Any], ...] = (
    *MODEL_OPERATIONS,
    *ENDPOINT_OPERATIONS,
    *APPLY_OPERATIONS,
    *KEY_OPERATIONS,
    *RECORD_OPERATIONS,
    *LABEL_OPERATIONS,
    *TRACE_OPERATIONS,
    *JOB_OPERATIONS,
    *SCHEDULE_OPERATIONS,
)
