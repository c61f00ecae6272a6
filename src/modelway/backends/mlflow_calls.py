"""Calls of MLflow's REST API: questions and orders in, its answers out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from modelway.backends.mlflow_answers import Answer
from modelway.backends.mlflow_http import Absent, MlflowHttp
from modelway.domain.errors import RegistryUnavailable

T = TypeVar("T")


class MlflowCalls:
    """Calls of one server; every method raises RegistryUnavailable where it cannot be reached."""

    def __init__(self, server: MlflowHttp, page_rows: int) -> None:
        self._server = server
        self._page_rows = page_rows

    @property
    def url(self) -> str:
        """The server's address, without credentials."""
        return self._server.url

    def ask(self, path: str, query: Mapping[str, str], absent: Absent | None = None) -> Answer:
        """The answer to a question.

        Raises:
            InvalidInput: the server refuses it; what ``absent`` makes, where there is no such
                thing.
        """
        return self._read(self._server.ask(path, query, absent))

    def tell(
        self, method: str, path: str, said: Mapping[str, Any], absent: Absent | None = None
    ) -> Answer:
        """The answer to an order.

        Raises:
            InvalidInput: as ``ask`` does.
        """
        return self._read(self._server.tell(method, path, said, absent=absent))

    def make(self, path: str, said: Mapping[str, Any]) -> None:
        """Make something, unless it is there already.

        Raises:
            InvalidInput: as ``ask`` does.
        """
        self._server.tell("POST", path, said, may_exist=True)

    def pages(self, path: str, query: Mapping[str, str]) -> Iterator[Answer]:
        """Every page of a search."""
        token = ""
        while True:
            asked = {**query, "max_results": str(self._page_rows)}
            page = self.ask(path, {**asked, "page_token": token} if token else asked)
            yield page
            token = page.next_page_token or ""
            if not token:
                return

    def there(self, part: T | None) -> T:
        """The part of an answer that it must have.

        Raises:
            RegistryUnavailable: it has not; whoever answers is not MLflow.
        """
        if part is None:
            raise RegistryUnavailable(f"the registry at {self.url} answered something else")
        return part

    def _read(self, content: bytes) -> Answer:
        try:
            return msgspec.json.decode(content or b"{}", type=Answer)
        except msgspec.MsgspecError as error:
            raise RegistryUnavailable(
                f"the registry at {self.url} answered what cannot be read: {error}",
                hint="is it the address of an MLflow server?",
            ) from error


def now_ms() -> int:
    """The time as MLflow writes it, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
