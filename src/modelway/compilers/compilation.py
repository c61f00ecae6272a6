"""One compilation of a model: the graph, and which converter each estimator has.

Data flow: ``Features`` go in; a transformer gives ``Features``, a classifier ``Classified``, a
regressor a value. Converters are plain functions ``(compilation, estimator, features)`` found by
the exact class of the estimator: a subclass may have overridden anything, so it is not taken for
its parent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from modelway.compilers.features import Features
from modelway.compilers.graph import Graph
from modelway.domain.errors import NotCompilable


@dataclass(frozen=True, slots=True)
class Classified:
    """What a classifier gives.

    ``index`` int64 (n_rows,): position in the estimator's own ``classes_``. ``probabilities``
    double (n_rows, n_classes). ``decision`` double: (n_rows, 1) of two classes, else
    (n_rows, n_classes), as its ``decision_function`` gives.
    """

    index: str
    probabilities: str | None = None
    decision: str | None = None


_Converter = TypeVar("_Converter")

Transform = Callable[["Compilation", Any, Features], Features]
Classify = Callable[["Compilation", Any, Features], Classified]
Regress = Callable[["Compilation", Any, Features], str]


@dataclass(frozen=True, slots=True)
class Converters:
    """Converters by class path as ``module.Class`` (``sklearn.preprocessing._data.Binarizer``)."""

    transformers: Mapping[str, Transform]
    classifiers: Mapping[str, Classify]
    regressors: Mapping[str, Regress]
    clusterers: Mapping[str, Classify]


class Compilation:
    """The graph under construction and the converters it draws on."""

    def __init__(self, graph: Graph, converters: Converters) -> None:
        self.graph = graph
        self._converters = converters

    def transform(self, estimator: Any, features: Features) -> Features:
        """What ``estimator.transform`` gives. Raises NotCompilable."""
        return self._find(self._converters.transformers, estimator)(self, estimator, features)

    def classify(self, estimator: Any, features: Features) -> Classified:
        """What ``estimator.predict``, ``predict_proba`` and ``decision_function`` give."""
        return self._find(self._converters.classifiers, estimator)(self, estimator, features)

    def regress(self, estimator: Any, features: Features) -> str:
        """What ``estimator.predict`` gives: double (n_rows, 1) or (n_rows, n_outputs)."""
        return self._find(self._converters.regressors, estimator)(self, estimator, features)

    def cluster(self, estimator: Any, features: Features) -> Classified:
        """The cluster of each row as ``index``, the label itself. Raises NotCompilable."""
        return self._find(self._converters.clusterers, estimator)(self, estimator, features)

    def _find(self, table: Mapping[str, _Converter], estimator: Any) -> _Converter:
        path = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        found = table.get(path)
        if found is None:
            raise NotCompilable(f"there is no exact ONNX form of {path}")
        return found
