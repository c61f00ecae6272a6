#!/bin/sh
# Serve the trained model; the training data gives types and ranges, the labels their names.
cd "$(dirname "$0")" || exit 1
exec modelway serve iris=model.pickle --data training.csv --target species \
    --labels setosa,versicolor,virginica "$@"
