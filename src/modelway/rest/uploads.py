"""Uploads: rows that are sent once, and that any number of jobs may then name.

    POST /uploads               a body as for predict, with its content-type; 201 with its id
    POST /models/{name}/jobs    {"upload": ID}, as application/vnd.modelway.upload+json
    DELETE /uploads/{id}        it is not there any more; 204

The reference has a content type of its own: a model may have a column called ``upload``. Each job
takes the bytes over, so what becomes of the upload is nothing to it. An upload is its sender's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Protocol

import msgspec

from modelway.domain.errors import InvalidInput, MalformedPayload
from modelway.domain.jobs import Payload, Upload
from modelway.rest.http import JSON, Request, Response

REFERENCE = b"application/vnd.modelway.upload+json"


class UploadPort(Protocol):
    """Who keeps uploads; every method raises StoreUnavailable.

    ``principal`` is who sent it, None where nobody is asked.
    """

    async def add(self, content: Payload, principal: str | None) -> Upload:
        """Keep what was sent. Raises InvalidInput, PayloadTooLarge, QueueFull."""
        ...

    async def remove(self, upload_id: str, principal: str | None) -> None:
        """Take back what was sent. Raises UploadNotFound."""
        ...

    def opened(self, upload_id: str, principal: str | None) -> AbstractAsyncContextManager[Payload]:
        """What was sent, for as long as there is room for it here.

        Raises UploadNotFound, and QueueFull before anything is read.
        """
        ...


class _Reference(msgspec.Struct, forbid_unknown_fields=True):
    upload: str


class _Shown(msgspec.Struct):
    id: str
    bytes: int
    media_type: str
    expires_at: datetime


async def uploaded(request: Request, port: UploadPort, principal: str | None) -> Response:
    """Keep a body. Raises InvalidInput, QueueFull, StoreUnavailable."""
    if not request.body:
        raise InvalidInput("the body is empty", hint="send rows as for predict")
    media_type = request.headers.get(b"content-type", JSON).decode("latin-1")
    upload = await port.add(Payload(request.body, media_type), principal)
    shown = _Shown(upload.id, len(request.body), media_type, upload.expires_at)
    return Response(msgspec.json.encode(shown), status=201)


def names_upload(request: Request) -> bool:
    """Whether the body of a request stands for an upload."""
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type == REFERENCE


@asynccontextmanager
async def resolved(
    request: Request, port: UploadPort, principal: str | None
) -> AsyncIterator[None]:
    """Have a request whose body names an upload be as if that had been its body, until the end of
    the block: then it has none, for a few bytes of a request must not hold many for long.

    Raises:
        MalformedPayload: the reference cannot be read.
        UploadNotFound, StoreUnavailable: what it names cannot be had.
        QueueFull: there is no room for it now.
    """
    if not names_upload(request):
        yield
        return
    try:
        reference = msgspec.json.decode(request.body, type=_Reference)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedPayload(f'expected {{"upload": ID}}: {error}') from None
    async with port.opened(reference.upload, principal) as found:
        # The headers are those of every request with this head.
        request.headers = {**request.headers, b"content-type": found.media_type.encode("latin-1")}
        request.body = found.content
        del found
        try:
            yield
        finally:
            request.body = b""
