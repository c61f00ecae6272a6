"""How fitted models become ONNX graphs with the same answers, one framework a file.

The rule that everything here follows: a graph does the estimator's own arithmetic, in the
estimator's own order and precision. float64 stays float64 until the estimator itself casts (trees
of scikit-learn compare float32 inputs with float64 thresholds), sums run over trees in the order
in which the library adds them, and a label is taken from what the library takes it from. What
cannot be written so raises ``NotCompilable``; what is written wrong is caught by the parity gate.
"""
