"""What ties a prediction to its version, run, commits and data: origin, trace, replay."""
