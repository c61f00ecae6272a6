"""Messages signed as Standard Webhooks has it, so that who is called knows who calls.

    webhook-id           the same each time that a message is posted
    webhook-timestamp    seconds since 1970, of this post
    webhook-signature    v1, and the HMAC-SHA256 of id.timestamp.body, in base64

Source: Standard Webhooks, specification 1.0.0, "Webhook Headers" and "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from modelway.domain.errors import BadValue

_PREFIX = "whsec_"
_SHORTEST_BYTES, _LONGEST_BYTES = 24, 64


def secret_of(path: str) -> bytes:
    """The secret in a file: ``whsec_`` and the base64 of 24 to 64 bytes. Raises BadValue."""
    if not path:
        raise BadValue(
            "jobs.callbacks: callbacks are signed, and there is no secret",
            hint="name a file with one in jobs.callback_secret: whsec_ and base64 of 32 bytes",
        )
    try:
        text = Path(path).read_text("ascii").strip()
        if not text.startswith(_PREFIX):
            raise ValueError(f"expected {_PREFIX} first")
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (OSError, ValueError, binascii.Error) as error:
        raise BadValue(f"jobs.callback_secret: {path} cannot be read: {error}") from None
    if not _SHORTEST_BYTES <= len(secret) <= _LONGEST_BYTES:
        raise BadValue(
            f"jobs.callback_secret: expected {_SHORTEST_BYTES} to {_LONGEST_BYTES} bytes, "
            f"got {len(secret)}"
        )
    return secret


def signed(secret: bytes, id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The headers of a message that is posted at a time."""
    stamp = str(int(at.timestamp()))
    content = f"{id}.{stamp}.".encode() + body
    signature = hmac.new(secret, content, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
