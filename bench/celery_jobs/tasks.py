"""The Celery application that somebody would write for a model whose answers can wait.

A task is acknowledged when it has ended, so that a worker that is killed loses none, and messages
are durable and confirmed by the broker. The model is read once a process, when it starts.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from kombu import Queue
from loaded import load

QUEUE, KIND = os.environ["QUEUE"], os.environ["KIND"]
app = Celery("jobs", broker=os.environ["BROKER"], backend=os.environ["RESULTS"])
app.conf.update(
    task_acks_late=True,
    task_default_queue=QUEUE,
    # It is durable, and deleted ten minutes after the comparison has ended.
    task_queues=[Queue(QUEUE, queue_arguments={"x-queue-type": KIND, "x-expires": 600_000})],
    broker_transport_options={"confirm_publish": True},
    # As many as uvicorn's front has threads: each waits for its own confirm.
    broker_pool_limit=40,
    worker_prefetch_multiplier=int(os.environ["PREFETCH"]),
    # Of an answer nobody asks for it is not known that it was begun.
    task_track_started=False,
    worker_send_task_events=False,
)
models: dict[str, Any] = {}


@worker_process_init.connect
def read(**_: object) -> None:
    """Read the model."""
    models["iris"] = load(os.environ["MODEL"])


@app.task
def predict(row: dict[str, float]) -> int:
    """The model's answer to one row."""
    return int(models["iris"]([list(row.values())])[0])
