#!/bin/sh
# Serve the trained model. --code is needed by the model of `train.py --custom` alone.
cd "$(dirname "$0")" || exit 1
exec modelway serve loan=model.joblib --data training.csv --target Loan_Status \
    --code features.py "$@"
