"""Messages signed as Standard Webhooks has it, so that who is called knows who calls.

    webhook-id           the same each time that a message is posted
    webhook-timestamp    seconds since 1970, of this post
    webhook-signature    v1, and the HMAC-SHA256 of id.timestamp.body, in base64; of several secrets
                         several, with spaces between: who knows one of them knows who calls

Source: Standard Webhooks, specification 1.0.0, "Webhook Headers" and "Signature scheme".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from modelway.domain.errors import BadValue

_PREFIX = b"whsec_"
_SHORTEST_BYTES, _LONGEST_BYTES = 24, 64


def secrets_of(path: str) -> Sequence[bytes]:
    """The secrets in a file, one a line: ``whsec_`` and the base64 of 24 to 64 bytes.

    Raises:
        BadValue: there is none, or a line is none.
    """
    if not path:
        raise _none("there is no secret")
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise BadValue(f"jobs.callback_secret: {path} cannot be read: {error}") from None
    secrets = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                secrets.append(_secret(line.strip()))
            except ValueError as error:
                raise BadValue(f"jobs.callback_secret: line {number} of {path}: {error}") from None
    if not secrets:
        raise _none(f"there is no secret in {path}")
    return secrets


def _none(said: str) -> BadValue:
    return BadValue(
        f"jobs.callback_secret: callbacks are signed, and {said}",
        hint="name a file with one in jobs.callback_secret: whsec_ and base64 of 32 bytes",
    )


def _secret(line: bytes) -> bytes:
    """The secret that a line has. Raises ValueError, which does not say what it has."""
    if not line.startswith(_PREFIX):
        raise ValueError(f"expected {_PREFIX.decode()} first")
    secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    if not _SHORTEST_BYTES <= len(secret) <= _LONGEST_BYTES:
        raise ValueError(f"expected {_SHORTEST_BYTES} to {_LONGEST_BYTES} bytes, got {len(secret)}")
    return secret


def signed(secrets: Sequence[bytes], id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The headers of a message that is posted at a time, signed with each secret."""
    stamp = str(int(at.timestamp()))
    content = f"{id}.{stamp}.".encode() + body
    signatures = [hmac.new(one, content, hashlib.sha256).digest() for one in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
    }
