"""The compiler of scikit-learn models, and of what speaks scikit-learn's language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelway.bundles.manifest import Task
from modelway.bundles.ports import Compiled, Description
from modelway.compilers.compilation import Compilation
from modelway.compilers.features import Features, graph_inputs
from modelway.compilers.graph import Graph
from modelway.compilers.sklearn.converters import CONVERTERS
from modelway.compilers.sklearn.thresholds import input_thresholds
from modelway.domain.errors import NotCompilable
from modelway.domain.signature import Signature
from modelway.domain.tables import Table


class SklearnCompiler:
    """Compiles fitted estimators and pipelines by the table of converters."""

    def compile(self, model: object, signature: Signature, description: Description) -> Compiled:
        """The model as ONNX, with its own arithmetic.

        Raises:
            NotCompilable: some step has no exact ONNX form, or the task has none.
        """
        graph = Graph()
        features, layout = graph_inputs(graph, signature)
        compilation = Compilation(graph, CONVERTERS)
        match description.task:
            case Task.CLASSIFICATION:
                _classification(compilation, model, features, description)
            case Task.REGRESSION:
                prediction = compilation.regress(model, features)
                graph.output("prediction", prediction, "double", ("n_rows", "n_outputs"))
            case Task.CLUSTERING:
                cluster = compilation.cluster(model, features).index
                graph.output("prediction", cluster, "int64", ("n_rows",))
            case _:
                raise NotCompilable(_why_not(model))
        return Compiled(graph.serialized(), layout)

    def thresholds(
        self, model: object, signature: Signature, rows: Table
    ) -> Sequence[npt.NDArray[np.float64]]:
        """For each column, the values at which some tree of the model splits."""
        return input_thresholds(model, signature, rows)


def _why_not(model: object) -> str:
    """What a model is that is none of the above."""
    from sklearn.base import is_classifier, is_outlier_detector

    name = type(model.steps[-1][1] if hasattr(model, "steps") else model).__name__
    if is_classifier(model):
        return f"{name} gives several labels a row; only one label has an exact ONNX form"
    if is_outlier_detector(model):
        return f"{name} is an outlier detector, of which there is no exact ONNX form"
    return f"{name} is no classifier, regressor or clusterer that scikit-learn knows"


def _classification(
    compilation: Compilation, model: object, features: Features, description: Description
) -> None:
    classes = description.classes
    if classes is None:
        raise NotCompilable("a classifier whose classes are not one list of labels")
    given = compilation.classify(model, features)
    compilation.graph.output("class_index", given.index, "int64", ("n_rows",))
    if description.probabilities:
        if given.probabilities is None:
            raise NotCompilable("the probabilities have no exact ONNX form")
        shape = ("n_rows", len(classes))
        compilation.graph.output("probabilities", given.probabilities, "double", shape)
