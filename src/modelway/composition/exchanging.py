"""One request to an administration, here or on another host; what it refuses is raised here."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from modelway.composition.orders import Report, raised
from modelway.domain.errors import Unavailable

_TIMEOUT_S = 600.0


class _Problem(msgspec.Struct):
    code: str
    detail: str
    hint: str | None = None


def exchange(
    url: str,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    certificate: str = "",
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """What the administration at ``url``, http or https, answers to one request.

    ``certificate`` is the file of the one that a service of this machine shows, empty for one that
    everybody trusts.

    Raises:
        Unavailable: it does not answer, or is no administration.
        ModelwayError: it refuses, and why.
    """
    address = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(
            address.netloc, timeout=timeout_s, context=_trusting(certificate)
        )
        if address.scheme == "https"
        else http.client.HTTPConnection(address.netloc, timeout=timeout_s)
    )
    try:
        connection.request(method, address.path.rstrip("/") + path, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            "the service's administration does not answer", hint=f"asked at {url}: {error}"
        ) from error
    finally:
        connection.close()
    if response.status < HTTPStatus.BAD_REQUEST:
        return content
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except msgspec.MsgspecError:
        said = f"{response.status} {response.reason}"
        raise Unavailable(f"{url} answered {said}, not as an administration does") from None
    raise raised(Report(code=problem.code, message=problem.detail, hint=problem.hint))


def _trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate:
        # It is the service's own address, which no certificate names, and its own certificate.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(certificate)
    return context
