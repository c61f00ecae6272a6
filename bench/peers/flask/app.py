"""The Flask application that somebody would write for a model."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from loaded import load_all

models = load_all()
app = Flask(__name__)


@app.post("/<name>/predict")
def predict(name: str) -> Response:
    """What the named model predicts."""
    return jsonify(predictions=models[name](request.get_json()["rows"]))
