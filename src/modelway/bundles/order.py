"""What is asked of a build, and what building needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelway.bundles.inferring import SignatureFacts
from modelway.bundles.ports import Compiler, Framework
from modelway.bundles.sources import Source
from modelway.bundles.training import TrainingData
from modelway.domain.signature import Signature
from modelway.domain.tables import Table


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build into ``folder``, which is there and empty.

    ``labels`` are names for the labels in the order of the classes.
    """

    source: Source
    folder: Path
    name: str
    data: Path | None = None
    target: str | None = None
    signature: SignatureFacts | None = None
    code: Path | None = None
    labels: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    require_compiled: bool = False


@dataclass(frozen=True, slots=True)
class Tools:
    """What building needs from outside.

    ``read_training`` reads rows from a file: its path, the target to leave out, the columns to read
    as text, those to read as dates. ``sample`` makes a valid row.
    """

    framework: Callable[[str], Framework]
    compiler: Callable[[str], Compiler | None]
    read_training: Callable[[Path, str | None, Collection[str], Collection[str]], TrainingData]
    sample: Callable[[Signature], Table]
