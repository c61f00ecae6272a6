"""Operations carried out: on the home that is here, or by the administration of another host."""

from __future__ import annotations

import getpass
import http.client
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from modelway.composition.control import Control
from modelway.composition.operations import (
    Operation,
    Parameters,
    carried_out,
    read_parameters,
)
from modelway.composition.orders import Report, raised
from modelway.domain.errors import BadValue, Unavailable
from modelway.settings import Settings

_TIMEOUT_S = 600.0


class _Problem(msgspec.Struct):
    code: str
    detail: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What operations are carried out on: the home of ``settings``, or the administration of a
    ``server`` by a ``key``.
    """

    settings: Settings
    server: str = ""
    key: str = ""

    def carry_out(self, operation: Operation[Parameters], **given: Any) -> Any:
        """The value of an operation, of JSON's types; what is None was not given.

        Raises:
            InvalidInput: a parameter is missing or of the wrong type.
            Unavailable: the server does not answer.
            ModelwayError: it cannot be done, and why.
        """
        named = {name: value for name, value in given.items() if value is not None}
        parameters = read_parameters(operation, named)
        if self.server:
            return _sent(self.server, self.key, operation, parameters)
        with Control(self.settings) as control:
            value = carried_out(control, operation, parameters, _user())
            return msgspec.to_builtins(value, enc_hook=str)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user: a container with a number only
        return "unknown"


def _sent(server: str, key: str, operation: Operation[Parameters], parameters: Parameters) -> Any:
    given = msgspec.to_builtins(parameters)
    path = operation.path
    for name in list(given):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(given.pop(name)), safe=""))
    body = b""
    if operation.method == "GET":
        query = urlencode({name: value for name, value in given.items() if value is not None})
        path += f"?{query}" if query else ""
    else:
        body = msgspec.json.encode(given)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    address = urlsplit(server)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise BadValue(
            f"--server {server}: expected the URL of an administration, http://HOST:8090"
        )
    connection = (
        http.client.HTTPSConnection(
            address.netloc, timeout=_TIMEOUT_S, context=ssl.create_default_context()
        )
        if address.scheme == "https"
        else http.client.HTTPConnection(address.netloc, timeout=_TIMEOUT_S)
    )
    try:
        connection.request(operation.method, address.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{server} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status >= HTTPStatus.BAD_REQUEST:
        try:
            problem = msgspec.json.decode(content, type=_Problem)
        except msgspec.MsgspecError:
            raise Unavailable(f"{server} answered {response.status} {response.reason}") from None
        raise raised(Report(code=problem.code, message=problem.detail, hint=problem.hint))
    return msgspec.json.decode(content) if content else None
