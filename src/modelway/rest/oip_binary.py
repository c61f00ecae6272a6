"""The binary tensor extension: JSON first, then the tensors as bytes, one after the other.

``Inference-Header-Content-Length`` says how long the JSON is, in bytes; without it all of the body
is JSON. Where it is 0 there is none: the body is the one tensor of the request and nothing else.

Source: Triton Inference Server, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelway.domain.errors import MalformedPayload
from modelway.inference.raw_contents import Raw
from modelway.rest.http import JSON, Response, header_lines
from modelway.rest.oip_json import Parameters

HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"
SIZE = "binary_data_size"

_LENGTH = re.compile(rb"[0-9]{1,18}")


def json_length(headers: Mapping[bytes, bytes], body: bytes) -> int | None:
    """How many bytes of a body are JSON; None if nothing says so.

    Raises:
        MalformedPayload: the header is no length, or one that the body does not have.
    """
    brought = headers.get(HEADER)
    if brought is None:
        return None
    length = int(brought) if _LENGTH.fullmatch(brought) else -1
    if not 0 <= length <= len(body):
        raise MalformedPayload(
            f"Inference-Header-Content-Length: expected a length of up to {len(body)} bytes, "
            f"got {brought[:40].decode('latin-1')!r}"
        )
    return length


class Tail:
    """What stands behind the JSON of a request, taken piece by piece; None if nothing may."""

    def __init__(self, content: memoryview | None) -> None:
        self._left = content

    def take(self, parameters: Parameters, name: str) -> Raw | None:
        """The bytes of the next tensor; None if its data is not there.

        Raises:
            MalformedPayload: they are fewer than its parameter says, or that is no length.
        """
        size = parameters.get(SIZE)
        if size is None:
            return None
        if type(size) is not int or size < 0:
            raise MalformedPayload(f"{name[:80]}: {SIZE} is not a length")
        if self._left is None:
            raise MalformedPayload(
                f"{name[:80]} has {SIZE}, and the request no Inference-Header-Content-Length"
            )
        if size > len(self._left):
            raise MalformedPayload(
                f"{name[:80]}: {SIZE} is {size}, and {len(self._left)} bytes are left"
            )
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def end(self) -> None:
        """Do nothing if everything was taken. Raises MalformedPayload."""
        if self._left is not None and len(self._left):
            raise MalformedPayload(
                f"{len(self._left)} bytes are left behind the tensors",
                hint=f"each binary tensor says its own length in {SIZE}",
            )


def joined(content: bytes, tensors: Sequence[Raw], headers: bytes) -> Response:
    """The response of a JSON text and the tensors behind it; plain JSON if there is none."""
    if not tensors:
        return Response(content, JSON, headers=headers)
    headers += header_lines((HEADER, str(len(content)).encode()))
    return Response(b"".join([content, *tensors]), BINARY, headers=headers)
