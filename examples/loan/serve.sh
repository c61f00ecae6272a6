#!/bin/sh
# Serve the trained model; that of `train.py --custom` with --code features.py.
cd "$(dirname "$0")" || exit 1
exec modelway serve loan=model.joblib --data training.csv --target Loan_Status "$@"
