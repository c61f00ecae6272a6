"""What goes into one inference and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from modelway.domain.signature import Scalar
from modelway.domain.tables import Array, Table

Outputs = Mapping[str, Array]
"""What a runtime gives, every array with the rows on its first axis.

- ``class_index`` int64 (n_rows,): position of the label in the manifest's classes
- ``probabilities`` float64 (n_rows, n_classes), if the model has them
- ``prediction`` (n_rows, ...): where there are no classes (regression, clusters, functions)
- any other name: outputs of tensor models
"""


@dataclass(frozen=True, slots=True)
class RowWarning:
    """Something unusual about a value that was answered all the same; ``row`` counts from 0."""

    row: int
    column: str
    code: str
    received: str
    expected: str


@dataclass(slots=True)
class InferenceRequest:
    """One call of a model: a table for an endpoint.

    ``prediction_id`` None lets the data plane make one; ``has_own_id`` says that the caller brought
    it, so that no other inputs may come under it. ``warnings`` were found when the table was
    made. ``principal`` is who calls, if anybody asked. ``deadline`` is when the answer is of no
    more use, by ``time.monotonic``. ``is_pinned`` says that the caller named the version, so no
    other may answer. ``meant_for`` is the version that a split gave it to, None where none was
    asked; while that one is not open another answers. ``beside`` stands in what a shadow is
    asked too: the live version that has answered it, and after how many seconds. ``is_shadow``
    says that a shadow was asked, whose answer no caller is given. ``progress`` is told how many
    rows are answered, of a request that may be answered a part at a time.
    """

    endpoint: str
    table: Table
    prediction_id: str | None = None
    warnings: Sequence[RowWarning] = ()
    principal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    is_pinned: bool = False
    has_own_id: bool = False
    meant_for: str | None = None
    beside: tuple[str, float] | None = None
    is_shadow: bool = False
    progress: Callable[[int], object] | None = None


@dataclass(slots=True)
class InferenceResponse:
    """The answer, and who gave it; row k of it has the id ``prediction_id:k``.

    ``classes`` are the labels in the order of ``class_index``, those of the version that answered.
    """

    endpoint: str
    version: str
    prediction_id: str
    outputs: Outputs
    n_rows: int
    warnings: Sequence[RowWarning] = ()
    classes: Sequence[Scalar] | None = None
