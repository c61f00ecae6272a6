"""A running service as its operator has it: with the key of its administration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.live import Answer, Service, ask

WAIT_S = 20.0


class Administered:
    """A running service and its administration."""

    def __init__(self, service: Service) -> None:
        self.service = service
        until(lambda: "Administration" in service.log.read_text())
        lines = service.log.read_text().splitlines()
        line = next(line for line in lines if line.startswith("Administration"))
        self.url = line.rpartition(" ")[2]
        self.key = service.log.parent / "home" / "admin.key"

    def send(
        self, method: str, path: str, payload: object = None, key: str | None = None
    ) -> Answer:
        """One request, with the key."""
        bearer = f"Bearer {self.key.read_text().strip() if key is None else key}"
        headers = {"authorization": bearer}
        return ask(self.url + path, payload=payload, headers=headers, method=method)

    def load(self, bundle: Path, name: str = "flower") -> Answer:
        """Have a bundle answer."""
        return self.send("PUT", f"/models/{name}", {"bundle": str(bundle)})

    def metric(self, line: str) -> float:
        """The number of a series."""
        text = ask(f"{self.url}/metrics").body.decode()
        found = [one for one in text.splitlines() if one.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def workers(self) -> Mapping[int, Mapping[str, Any]]:
        """The live versions of each worker by name."""
        said: Any = self.send("GET", "/models").json
        return {
            one["slot"]: {model["name"]: model for model in one["models"] if model["live"]}
            for one in said["workers"]
        }


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
