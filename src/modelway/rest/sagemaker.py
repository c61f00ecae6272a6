"""What a container of SageMaker's answers beside ``/ping`` and ``/invocations``.

``/execution-parameters`` says how batch transform may ask. Under ``--sagemaker`` the multi-model
contract stands in place of the native ``/models``: the platform loads models by name from folders
below one folder, lists, asks and unloads them. A ``url`` is a path there and nothing else; links
are followed before it is judged. ``X-Amzn-SageMaker-Target-Model`` says what the platform's caller
asked for; it is for records and routes nothing.

Source: Amazon SageMaker, "Contract for Custom Containers to Serve Multiple Models" and "Use Your
Own Inference Code with Batch Transform".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from modelway.bundles.manifest import MANIFEST
from modelway.domain.errors import EndpointNotFound, InvalidInput, MalformedPayload, TargetExists
from modelway.domain.names import check_name
from modelway.inference.dataplane import DataPlane
from modelway.rest.http import Request, Response, constant
from modelway.rest.invocations import Invocations
from modelway.rest.routes import Route
from modelway.settings import MEBIBYTE, RestSettings

PAGE_MODELS = 100
"""So many models are listed at once."""

_TRANSFORM_PAYLOAD_MEBIBYTES = 6
_CONCURRENT_TRANSFORMS = 8


class Deployments(Protocol):
    """What is served, and how to change it, in every process that answers on this port.

    ``load`` returns when the name is answered everywhere, or raises and changes nothing.
    ``unload`` returns when its memory is free.
    ``names`` are in a stable order.
    """

    async def load(self, name: str, folder: Path) -> object:
        """Have the bundle of a folder answer. Raises TargetExists, OutOfMemory, LoadFailed."""
        ...

    async def unload(self, name: str) -> None:
        """Have nothing answer under a name. Raises EndpointNotFound."""
        ...

    def names(self) -> Sequence[str]:
        """What answers."""
        ...


class _Load(msgspec.Struct):
    model_name: str
    url: str


def routes(settings: RestSettings) -> Iterator[tuple[str, Route]]:
    """How batch transform may ask: several records at once, in payloads that are taken here."""
    payload = min(_TRANSFORM_PAYLOAD_MEBIBYTES, max(1, settings.max_body_bytes // MEBIBYTE))
    content = {
        "MaxConcurrentTransforms": _CONCURRENT_TRANSFORMS,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    yield "/execution-parameters", Route(GET=constant(msgspec.json.encode(content)))


class MultiModel:
    """The multi-model contract over the bundles below ``folder``."""

    def __init__(
        self, plane: DataPlane, settings: RestSettings, deployments: Deployments, folder: Path
    ) -> None:
        self._plane = plane
        self._deployments = deployments
        self._folder = folder
        self._invocations = Invocations(plane, settings, sagemaker=True)
        self._urls: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> Iterator[tuple[str, Route]]:
        """Load and list; show and unload; ask."""
        yield "/models", Route(GET=self.listed, POST=self.load)
        yield "/models/{name}", Route(GET=self.one, DELETE=self.unload)
        yield "/models/{name}/invoke", Route(POST=self.invoke)

    async def load(self, request: Request) -> Response:
        """Load the model ``model_name`` from ``url``; 409 where it is loaded already."""
        try:
            wish = msgspec.json.decode(request.body, type=_Load)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedPayload(f"the body cannot be read: {error}") from None
        name = check_name(wish.model_name)
        async with self._one_at_a_time:
            if name in self._deployments.names():
                raise TargetExists(f"the model {name} is loaded already")
            folder = await asyncio.to_thread(bundle_folder, self._folder, wish.url)
            await self._deployments.load(name, folder)
            self._urls[name] = wish.url
        return Response(msgspec.json.encode(self._described(name)))

    async def listed(self, request: Request) -> Response:
        """A page of the models that are loaded; ``next_page_token`` asks for the next."""
        cells = dict(request.cells())
        names = self._deployments.names()
        start = _whole_number(cells, "next_page_token", 0)
        end = start + max(1, min(_whole_number(cells, "limit", PAGE_MODELS), PAGE_MODELS))
        content: dict[str, object] = {
            "models": [self._described(name) for name in names[start:end]]
        }
        if end < len(names):
            content["nextPageToken"] = str(end)
        return Response(msgspec.json.encode(content))

    async def one(self, request: Request) -> Response:
        """One model; 404 where it is not loaded."""
        return Response(msgspec.json.encode(self._described(self._named(request))))

    async def unload(self, request: Request) -> Response:
        """Unload a model; 404 where it is not loaded."""
        name = self._named(request)
        described = self._described(name)
        await self._deployments.unload(name)
        self._urls.pop(name, None)
        return Response(msgspec.json.encode(described))

    async def invoke(self, request: Request) -> Response:
        """Ask a model; 404 where it is not loaded."""
        return await self._invocations.of(request.captures["name"], request)

    def _named(self, request: Request) -> str:
        name = request.captures["name"]
        names = self._deployments.names()
        if name not in names:
            raise EndpointNotFound(name[:128], names)
        return name

    def _described(self, name: str) -> dict[str, str]:
        """A model that another process was told to load is shown with its own folder."""
        url = self._urls.get(name) or str(self._plane.router.live(name).bundle.folder)
        return {"modelName": name, "modelUrl": url}


def bundle_folder(root: Path, url: str) -> Path:
    """The folder of a bundle at ``url``, which must lie in ``root``; touches the disk.

    An archive of a folder holds that folder: where one bundle is a folder below, it is meant.

    Raises:
        InvalidInput: it is no path inside, or there is no bundle.
    """
    try:
        inside = root.resolve()
        folder = (inside / url).resolve()
        if "\0" in url or not folder.is_relative_to(inside) or not folder.is_dir():
            raise InvalidInput(f"{url[:200]!r} is no folder of the models folder")
        if not (folder / MANIFEST).is_file():
            below = [one for one in folder.iterdir() if (one / MANIFEST).is_file()]
            folder = below[0].resolve() if len(below) == 1 else folder
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{url[:200]!r} is no usable path: {type(error).__name__}") from None
    if not folder.is_relative_to(inside) or not (folder / MANIFEST).is_file():
        raise InvalidInput(
            f"{url[:200]!r} holds no bundle", hint="modelway bundle build SOURCE -o DIR makes one"
        )
    return folder


def _whole_number(cells: dict[str, str], name: str, default: int) -> int:
    text = cells.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"{name}: expected a whole number, got {text[:40]!r}")
    return int(text)
