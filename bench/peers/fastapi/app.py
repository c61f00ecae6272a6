"""The FastAPI application that somebody would write for a model."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from loaded import load_all
from pydantic import BaseModel

models = load_all()
app = FastAPI()


class Body(BaseModel):
    """Rows as lists of numbers, or as objects by column."""

    rows: list[list[float]] | list[dict[str, float | str]]


class Answer(BaseModel):
    """One prediction for each row."""

    predictions: list[Any]


@app.post("/{name}/predict")
def predict(name: str, body: Body) -> Answer:
    """What the named model predicts."""
    return Answer(predictions=models[name](body.rows))
