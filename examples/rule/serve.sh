#!/bin/sh
# Serve the function; its type hints are the signature.
cd "$(dirname "$0")" || exit 1
exec modelway serve rules.py:is_in_heat "$@"
