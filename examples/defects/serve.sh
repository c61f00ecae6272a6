#!/bin/sh
# Serve under the URL that the callers know, with the word that they read.
cd "$(dirname "$0")" || exit 1
exec modelway serve defects=model.joblib --data training.csv --target defect \
    --route 'defects=/predict/{loc}/{mcc}' --output-name defects=Defect "$@"
