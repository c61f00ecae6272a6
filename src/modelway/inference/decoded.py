"""What a body holds, once it is read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelway.domain.inference import RowWarning
from modelway.domain.tables import Table


class Decoded(msgspec.Struct, gc=False):
    """A table, whether it came as a single object, and what was unusual about it."""

    table: Table
    single: bool
    warnings: Sequence[RowWarning] = ()
