"""Operations carried out: on the home that is here, or by the administration of another host."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from modelway.composition.control import Control
from modelway.composition.exchanging import exchange
from modelway.composition.operations import (
    Operation,
    Parameters,
    carried_out,
    read_parameters,
)
from modelway.domain.errors import BadValue
from modelway.settings import Settings

if sys.platform != "win32":
    import pwd


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
            value = carried_out(control, operation, parameters, user(), key=None)
            return msgspec.to_builtins(value, enc_hook=str)


def user() -> str:
    """Whose process it is, by its user id: the environment may say any name."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no such user: a container with a number only
        return str(os.getuid())


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
    content = exchange(server, operation.method, path, body, headers)
    return msgspec.json.decode(content) if content else None
