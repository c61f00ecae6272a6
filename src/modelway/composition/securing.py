"""How a service is secured by its settings: its certificate, and whether predictions need a key."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from modelway.access.tls import Certificate
from modelway.domain.errors import BadValue
from modelway.settings import ServeSettings, Settings


def certificate_of(serve: ServeSettings) -> Certificate | None:
    """The certificate of a service, None where it speaks no TLS.

    Raises:
        BadValue: only one of the two files is named, or they cannot be used.
    """
    if not (serve.tls_cert or serve.tls_key):
        return None
    if not (serve.tls_cert and serve.tls_key):
        raise BadValue(
            "serve.tls_cert and serve.tls_key go together, and one is missing",
            hint="--tls-cert CHAIN.pem --tls-key KEY.pem",
        )
    return Certificate(Path(serve.tls_cert), Path(serve.tls_key))


def is_loopback(serve: ServeSettings) -> bool:
    """Whether only this machine reaches the service, over TCP."""
    if serve.socket:
        return False
    try:
        return ipaddress.ip_address(serve.host).is_loopback
    except ValueError:
        return serve.host == "localhost"


def needs_keys(settings: Settings) -> bool:
    """Whether predictions need a key: where it is set so, or other machines can ask.

    A Unix socket is only for those who may open it.
    """
    wanted = settings.access.predictions
    if wanted != "auto" or settings.serve.insecure:
        return wanted == "keys"
    return not (is_loopback(settings.serve) or settings.serve.socket)
