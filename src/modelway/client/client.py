"""The client: one object a service, synchronous, that keeps its connections.

Many rows travel in several requests, none much larger than ``CHUNK_BYTES``, so the size of a frame
is bounded by the memory of the caller and not by what the service takes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast, overload

import msgspec

from modelway.client.connections import Connections
from modelway.client.frames import columns_of, frame_of, is_frame
from modelway.client.problems import error_of
from modelway.client.values import encode
from modelway.domain.errors import InvalidInput, PayloadTooLarge, Unavailable
from modelway.domain.names import check_name

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROWS = 100
CHUNK_BYTES = 4 * 1024 * 1024

Answer = dict[str, Any]
"""What the service says of one row: ``prediction``, and ``label``, ``probabilities``, ``warnings``
where there are any, and ``endpoint``, ``version``, ``prediction_id``."""


class Client:
    """Asks the service at ``url``: its default endpoint, or the one named ``endpoint``.

    ``timeout_s`` is how long any one request may wait for the service. May be used by several
    threads at once. Nothing is sent before the first call.

    Raises:
        InvalidInput: ``url`` is no http or https address.
        InvalidName: ``endpoint`` can be no endpoint's name.
    """

    def __init__(self, url: str, *, endpoint: str | None = None, timeout_s: float = 30.0) -> None:
        self._connections = Connections(url, timeout_s)
        self._path = "/predict"
        if endpoint is not None:
            self._path = f"/models/{check_name(endpoint)}/predict"

    @overload
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame: ...
    @overload
    def predict(self, rows: Mapping[str, Any]) -> Answer: ...
    @overload
    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]: ...

    def predict(
        self, rows: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> pd.DataFrame | Answer | list[Answer]:
        """The predictions for ``rows``, in their order.

        A DataFrame gives a DataFrame with its index and the columns ``prediction``, ``label`` where
        labels have names, and ``probability_LABEL`` for each class. A dictionary gives one answer,
        a list of them a list. None, NaN, NaT and NA are missing values; a datetime without an
        offset is UTC.

        Raises:
            SignatureMismatch: values do not fit; pointers count the rows of ``rows``. Rows of
                earlier chunks have been answered by then, and nothing is kept of them.
            EndpointNotFound: the service has no such endpoint.
            Unavailable: nobody answers at the address, not in time, or not as Modelway does.
            ModelwayError: any other error that the service answers with, of the same ``code``.
        """
        if is_frame(rows):
            names, columns = columns_of(rows)

            def frame_body(start: int, stop: int) -> bytes:
                part = zip(*(column[start:stop] for column in columns), strict=True)
                return encode({"columns": names, "data": list(part)})

            return frame_of(rows, self._answers(frame_body, len(rows)))
        if isinstance(rows, Mapping):
            return cast(Answer, self._ask("POST", self._path, encode(rows)))
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Sequence):
            raise InvalidInput(
                f"cannot predict a {type(rows).__name__}: "
                "expected a DataFrame, a dictionary or a list of dictionaries"
            )
        return self._answers(lambda start, stop: encode(rows[start:stop]), len(rows))

    def models(self) -> list[dict[str, Any]]:
        """Every endpoint of the service: its name, version, task and runtime.

        Raises:
            Unavailable: nobody answers at the address, not in time, or not as Modelway does.
        """
        listing = self._ask("GET", "/models")
        try:
            return list(listing["models"])
        except (KeyError, TypeError):
            raise self._not_ours() from None

    def close(self) -> None:
        """Close the connections; calling it twice does no harm, another call opens new ones."""
        self._connections.close()

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _answers(self, body_of: Callable[[int, int], bytes], n_rows: int) -> list[Answer]:
        """The answers for rows 0 to ``n_rows``; ``body_of(start, stop)`` is the request for some.

        The first chunk is small, and how large its rows are says how many the next one takes.
        """
        answers: list[Answer] = []
        most, step = max(n_rows, 1), FIRST_ROWS
        while not answers or len(answers) < n_rows:
            start = len(answers)
            stop = min(start + step, n_rows)
            body = body_of(start, stop)
            try:
                found = self._ask("POST", self._path, body, first_row=start)
            except PayloadTooLarge:
                if stop - start <= 1:
                    raise
                most = step = (stop - start) // 2
                continue
            if not isinstance(found, list) or len(found) != stop - start:
                raise self._not_ours()
            if not n_rows:
                break
            answers += found
            step = min(most, max(1, CHUNK_BYTES * (stop - start) // len(body)))
        return answers

    def _ask(self, method: str, path: str, body: bytes | None = None, *, first_row: int = 0) -> Any:
        """The JSON of the answer; ``first_row`` is where the rows sent stand among the caller's."""
        status, content = self._connections.exchange(method, path, body)
        if status != 200:
            raise error_of(status, content, self._connections.url, first_row)
        try:
            return msgspec.json.decode(content)
        except msgspec.MsgspecError:
            raise self._not_ours() from None

    def _not_ours(self) -> Unavailable:
        return Unavailable(f"{self._connections.url} does not answer as a Modelway service does")
