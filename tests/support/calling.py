"""Callers that ask without a pause, one connection each, and keep every answer in order."""

from __future__ import annotations

import http.client
import json
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from support.ending import joined

_PAUSE_S = 0.02
"""Between an answer and the next request: what asks shares the machine with what answers."""


@dataclass(frozen=True)
class Asked:
    """A request: its body, and the id that the caller brings, if any."""

    body: bytes
    id: str = ""


@dataclass(frozen=True)
class Answered:
    """One answer: when it was there, and the version that it names in its head and body."""

    at_s: float
    status: int
    header: str | None
    version: str | None
    asked: Asked
    body: bytes


@dataclass
class Connection:
    """What came over one connection, and how and when it broke, if it did.

    ``port`` is the caller's own, 0 where the connection never was; ``asked_s`` is when it asked
    last. ``is_idle`` is one that broke with no request in flight.
    """

    port: int = 0
    answers: list[Answered] = field(default_factory=list)
    asked_s: float = field(default_factory=time.monotonic)
    broke: str = ""
    broke_s: float = 0.0
    is_idle: bool = False


class Callers:
    """Callers of ``url``, until the block is left; one whose connection breaks opens another.

    Each asks the one ``row`` again and again, or what it gives when it is called.
    """

    def __init__(
        self, url: str, row: Mapping[str, Any] | Callable[[], Asked], number: int = 32
    ) -> None:
        parts = urlsplit(url)
        self._netloc = parts.netloc
        self._row = row
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(number)]
        self.connections: list[Connection] = []

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        joined(*self._threads)

    @property
    def broken(self) -> Sequence[Connection]:
        """The connections that broke."""
        return [one for one in self.connections if one.broke]

    def count(self) -> int:
        """How many answers there are."""
        return sum(len(one.answers) for one in list(self.connections))

    def last_s(self, version: str) -> float:
        """When a version answered last."""
        return max(
            answer.at_s
            for one in self.connections
            for answer in one.answers
            if answer.version == version
        )

    def wait_for(self, version: str, most_s: float = 20.0) -> None:
        """Wait until every open connection got its last answer from a version."""
        deadline = time.monotonic() + most_s
        while not all(
            one.answers and one.answers[-1].version == version
            for one in list(self.connections)
            if not one.broke
        ):
            assert time.monotonic() < deadline, f"version {version} does not answer everybody"
            time.sleep(0.02)

    def _call(self) -> None:
        while not self._ended.is_set():
            connection = Connection()
            self.connections.append(connection)
            try:
                self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                connection.broke, connection.broke_s = repr(error), time.monotonic()
                self._ended.wait(_PAUSE_S)

    def _ask(self, connection: Connection) -> None:
        asking = http.client.HTTPConnection(self._netloc, timeout=30)
        try:
            asking.connect()
            connection.port = asking.sock.getsockname()[1]
            while not self._ended.is_set():
                if asking.sock is None or select.select([asking.sock], [], [], 0)[0]:
                    connection.is_idle = True
                    raise ConnectionResetError("it was closed between two requests")
                asked = self._row() if callable(self._row) else _asked(self._row)
                connection.asked_s = time.monotonic()
                head = {"content-type": "application/json"}
                if asked.id:
                    head["modelway-prediction-id"] = asked.id
                asking.request("POST", "/predict", asked.body, head)
                response = asking.getresponse()
                body = response.read()
                version = response.headers.get("modelway-version")
                at_s, said = time.monotonic(), json.loads(body).get("version")
                connection.answers.append(
                    Answered(at_s, response.status, version, said, asked, body)
                )
                self._ended.wait(_PAUSE_S)
        finally:
            asking.close()


def _asked(row: Mapping[str, Any]) -> Asked:
    return Asked(json.dumps(row).encode())


def assert_moved(callers: Callers, before: str, after: str) -> float:
    """Fail unless all went over from one version to another without a fault, and none back.

    Gives for how many seconds both have answered.
    """
    assert not callers.broken, callers.broken[0]
    answers = [one for connection in callers.connections for one in connection.answers]
    assert {one.status for one in answers} == {200}
    assert all(one.header == one.version for one in answers)
    for connection in callers.connections:
        seen = [[before, after].index(str(one.version)) for one in connection.answers]
        assert seen == sorted(seen), "the version before answered after the one after it"
        assert set(seen) == {0, 1}
    first = min(one.at_s for one in answers if one.version == after)
    last = max(one.at_s for one in answers if one.version == before)
    return last - first
