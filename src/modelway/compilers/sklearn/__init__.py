"""scikit-learn models as ONNX graphs: pipelines and estimators, each by a converter of its own."""

from modelway.compilers.sklearn.compiler import SklearnCompiler

__all__ = ["SklearnCompiler"]
