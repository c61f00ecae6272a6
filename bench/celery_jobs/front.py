"""The FastAPI application before it: a checked row becomes a task, 202 says which.

The path functions are plain ``def``, which FastAPI's guide says for code that blocks: 202 is said
when the broker has confirmed the message.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from tasks import predict

app = FastAPI()
taken: list[str] = []


class Row(BaseModel):
    """A flower."""

    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


@app.post("/models/iris/jobs", status_code=202)
def take(row: Row) -> dict[str, Any]:
    """The id of a new job."""
    made = predict.delay(row.model_dump())
    taken.append(made.id)
    return {"id": made.id}


@app.get("/jobs/{job_id}")
def show(job_id: str) -> dict[str, Any]:
    """How a job stands."""
    result = predict.AsyncResult(job_id)
    return {"done": result.ready(), "response": {"prediction": result.result}}


@app.get("/taken")
def said() -> dict[str, int]:
    """How many jobs were taken so far."""
    return {"taken": len(taken)}
