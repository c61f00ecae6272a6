"""A running service, or a bundle in this process: asked alike, they answer alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelway.composition.referring import reference_in, referred
from modelway.composition.row_files import Row
from modelway.domain.errors import InvalidInput, Unavailable
from modelway.domain.names import check_name
from modelway.domain.signature import Scalar, Signature
from modelway.settings import Settings

if TYPE_CHECKING:
    from modelway.client.connections import Connections

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Asked:
    """A model that takes columns, and how to ask it.

    ``predict`` gives the answer to each of some rows, as the service's JSON has it; it raises
    SignatureMismatch where values do not fit. ``classes`` are None where there are none.
    """

    signature: Signature
    classes: Sequence[Scalar] | None
    probabilities: bool
    predict: Callable[[Sequence[Row]], list[Row]]


@contextlib.contextmanager
def asked(
    model: str, endpoint: str | None, settings: Settings, say: Callable[[str], object]
) -> Iterator[Asked]:
    """What answers: the address of a service with the name of an endpoint, a bundle's folder, or a
    reference to a version, of which the bundle is made if there is none.

    Raises:
        InvalidInput: the model takes tensors, or an endpoint is named for a bundle.
        ModelwayError: the service cannot be asked, or the bundle cannot be opened.
    """
    if model.startswith(("http://", "https://")):
        opened = _service(model, endpoint)
    elif endpoint is not None:
        raise InvalidInput(
            f"{model} is no address of a service, so it has no endpoint {endpoint!r}",
            hint="leave --endpoint out, or give the URL of a service",
        )
    else:
        opened = _bundle(_folder(model, settings, say), settings)
    with opened as found:
        if not found.signature.is_tabular:
            raise InvalidInput(
                f"{model} takes tensors, and a file of rows has none",
                hint="serve it, and POST JSON to /predict",
            )
        yield found


def _folder(model: str, settings: Settings, say: Callable[[str], object]) -> Path:
    if reference_in(model) is None:
        return Path(model)
    from modelway.composition.bundling import BuildRequest

    return referred(BuildRequest(model), settings, say)


@contextlib.contextmanager
def _bundle(folder: Path, settings: Settings) -> Iterator[Asked]:
    """The bundle, opened here; it answers what it would answer in a service."""
    from modelway.composition.frameworks import open_runtime
    from modelway.domain.inference import InferenceResponse
    from modelway.inference.loading import load_model
    from modelway.rest.encoding import AnswerEncoder

    opened = partial(open_runtime, allow_pickle=settings.bundles.allow_pickle)
    model = load_model(folder.name, folder, opened, settings.inference)
    manifest = model.manifest
    encoder = AnswerEncoder(model.bundle)

    def answers(rows: Sequence[Row]) -> list[Row]:
        checked = model.validator.rows(rows)
        outputs = model.execution.predict(checked.table)
        response = InferenceResponse(
            *(model.name, model.version, "", outputs, len(rows), checked.warnings),
            classes=manifest.classes,
        )
        found: list[Row] = msgspec.json.decode(encoder.many(response))
        return found

    try:
        yield Asked(model.signature, manifest.classes, manifest.probabilities, answers)
    finally:
        model.execution.abandon()


@contextlib.contextmanager
def _service(url: str, endpoint: str | None) -> Iterator[Asked]:
    from modelway.client import Client
    from modelway.client.connections import Connections

    if endpoint is not None:
        check_name(endpoint)
    connections = Connections(url, _TIMEOUT_S)
    try:
        name = endpoint or _get(connections, "/models")["default"]
        described = _get(connections, f"/models/{name}")
        signature = msgspec.convert(described["signature"], Signature)
        classes, probabilities = described["classes"], described["probabilities"]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise Unavailable(f"{url} does not answer as a Modelway service does") from error
    finally:
        connections.close()
    with Client(url, endpoint=name, timeout_s=_TIMEOUT_S) as client:
        yield Asked(signature, classes, probabilities, client.predict)


def _get(connections: Connections, path: str) -> Any:
    from modelway.client.problems import error_of

    status, content = connections.exchange("GET", path)
    if status != 200:
        raise error_of(status, content, connections.url)
    return msgspec.json.decode(content)
