"""A broker as its URL names it: what is refused without telling the password, and the queues."""

from __future__ import annotations

import pytest

from modelway.backends.rabbitmq.broker import Broker
from modelway.domain.errors import BadValue
from modelway.jobs.dispatching import Line


def named(url: str = "amqp://host/%2f") -> Broker:
    """A broker whose store is known as ``5``."""
    return Broker(url, lambda: "5")


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@host/",
        "redis://me:secret@host/",
        "me:secret@host",
        "amqp://me:secret@host:port/",
        "amqp://me:secret@host/?heartbeat=often",
    ],
)
def test_what_is_no_broker_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadValue, match=r"jobs\.broker.*expected amqp://HOST/VHOST") as refused:
        named(url)
    assert "secret" not in refused.value.message


def test_it_is_shown_without_its_password() -> None:
    assert (
        named("amqps://me:secret@host:5671/jobs?heartbeat=9").shown == "amqps://me@host:5671/jobs"
    )


def test_what_the_url_says_goes_before_what_is_usual() -> None:
    said = named("amqp://me:secret@host/jobs?heartbeat=9").parameters("name")
    assert (said.heartbeat, said.virtual_host, said.blocked_connection_timeout) == (9, "jobs", 30)
    assert named().parameters("name").heartbeat == 20


def test_each_line_has_a_queue_of_its_own() -> None:
    names = [
        named().queue(Line(name, priority)) for name in ("a", "A", "é/.b") for priority in (0, 9)
    ]
    assert names[:2] == ["modelway.5.jobs.0.a", "modelway.5.jobs.9.a"]
    assert names[-1] == "modelway.5.jobs.9.%C3%A9%2F.b"
    assert len(set(names)) == 6


def test_the_longest_names_are_queues_too() -> None:
    longest = ["é" * 255, "é" * 254 + "e"]
    names = [named().queue(Line(one, 4)) for one in longest]
    assert max(map(len, names)) <= 255
    assert len(set(names)) == 2


def test_every_limit_is_said() -> None:
    limits = named().limits
    assert limits["x-queue-type"] == "quorum"
    assert limits["x-dead-letter-strategy"] == "at-least-once"
    assert limits["x-overflow"] == "reject-publish"
    assert limits["x-dead-letter-routing-key"] == named().dead == "modelway.5.dead"
    assert {"x-delivery-limit", "x-max-length", "x-max-length-bytes"} <= set(limits)
