"""The settings of work that nobody waits for: jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelway.settings.fields import parts_of, setting


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How jobs reach workers, how long they are kept, and how they are worked on."""

    broker: str = setting(
        "",
        help="What spreads jobs over workers: amqp://... or amqps://..., RabbitMQ; empty is the "
        "store itself.",
    )
    lasts_s: float = setting(
        24 * 3600.0,
        help="A job that is not answered by then expires.",
        unit="seconds",
        minimum=1,
        maximum=366 * 24 * 3600,
    )
    durability: str = setting(
        "process",
        help="What a job that was answered with 202 outlives: the end of any process, or a loss of "
        "power too, for which each commit waits for the disk.",
        choices=("process", "power"),
    )
    keep_s: float = setting(
        24 * 3600.0,
        help="How long a job is kept once it is done, with its result; longer while somebody is "
        "to be called back.",
        unit="seconds",
        minimum=1,
        maximum=366 * 24 * 3600,
    )
    longest_wait_s: int = setting(
        60,
        help="How long a request that prefers to be answered later may wait (prefer: wait=).",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )
    uploads_bytes: int = setting(
        1024 * 1024 * 1024,
        help="What the uploads of one key may hold at the same time, each for 4 KiB at least; "
        "without keys, those of all callers together.",
        unit="bytes",
        minimum=0,
        maximum=2**50,
    )
    attempts: int = setting(
        5,
        help="How often a job is tried before it is a dead letter.",
        unit="attempts",
        minimum=1,
        maximum=100,
    )
    retry_s: float = setting(
        1.0,
        help="The longest wait before the second attempt; it doubles with each one after.",
        unit="seconds",
        minimum=0.001,
        maximum=3600,
    )
    longest_retry_s: float = setting(
        300.0,
        help="The longest wait before any attempt.",
        unit="seconds",
        minimum=0.001,
        maximum=24 * 3600,
    )
    lease_s: float = setting(
        30.0,
        help="A worker that is silent for so long has lost its jobs to others.",
        unit="seconds",
        minimum=1,
        maximum=3600,
    )
    batch: int = setting(
        64,
        help="The most jobs that a worker takes at a time.",
        unit="jobs",
        minimum=1,
        maximum=1000,
    )
    metrics_port: int = setting(
        0,
        help="Port of the administration and the metrics of a worker, at admin.host; 0 for none. "
        "What the worker of an `up` counts is among the metrics of that.",
        minimum=0,
        maximum=65535,
    )
    concurrency: int = setting(
        2,
        help="How many such batches a worker has at once: one is answered while another is stored.",
        unit="batches",
        minimum=1,
        maximum=256,
    )
    callbacks: str = setting(
        "",
        help="URLs that may be called when a job has ended, and all below them, with commas "
        "between: https://hooks.example.com/jobs; empty for none.",
    )
    callback_secret: str = setting(
        "",
        help="File with the secret that signs callbacks, as Standard Webhooks writes it: whsec_ "
        "and the base64 of 24 to 64 bytes; with several, one a line, each signs.",
    )
    callback_lasts_s: float = setting(
        24 * 3600.0,
        help="For how long is tried to call back somebody who does not answer.",
        unit="seconds",
        minimum=1,
        maximum=31 * 24 * 3600,
    )
    private_callbacks: bool = setting(
        False,
        help="Call hosts also where their names lead to private networks or to this host. An "
        "address that stands in `callbacks` itself is always called.",
    )

    @property
    def durable(self) -> bool:
        """Whether a loss of power loses no job."""
        return self.durability == "power"

    @property
    def callback_urls(self) -> Sequence[str]:
        """What URLs that may be called begin with."""
        return parts_of(self.callbacks)
