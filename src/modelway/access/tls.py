"""TLS: a certificate and its key, as files, and the same once they were renewed.

Nothing older than TLS 1.2 is spoken; which ciphers are good is left to OpenSSL, whose defaults are
kept up with every update of the system.

Source: RFC 9325, "Recommendations for Secure Use of TLS and DTLS".
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from modelway.domain.errors import BadValue

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"
_PROTOCOL = "http/1.1"
_LARGEST_BYTES = 1024 * 1024

_CERT_SETTING, _KEY_SETTING = "serve.tls_cert", "serve.tls_key"

_Stamp = tuple[tuple[int, int, int], ...]


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What a server of HTTP/1.1 needs: ``cert`` is a certificate and those above it, as PEM.

    Raises:
        BadValue: a file is not there, cannot be read, is not what it is to be, or the two do not
            belong together; names the setting and the file.
    """
    _pem(cert, _CERTIFICATE, f"{_CERT_SETTING} {cert}", "certificate")
    _pem(key, _KEY, f"{_KEY_SETTING} {key}", "private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([_PROTOCOL])
    try:
        context.load_cert_chain(cert, key, password=_refused_password)
    except _Encrypted:
        raise BadValue(
            f"{_KEY_SETTING} {key} is encrypted with a password",
            hint="openssl pkey -in FILE -out PLAIN writes it without; keep that with mode 0600",
        ) from None
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise BadValue(
                f"{_KEY_SETTING} {key} is not the key of {_CERT_SETTING} {cert}"
            ) from error
        raise BadValue(
            f"{_CERT_SETTING} {cert} and {_KEY_SETTING} {key} cannot be used: {error}",
            hint="expected a certificate and its private key as PEM",
        ) from error
    return context


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate with those above it, and its private key, which is never shown."""

    chain: bytes
    key: bytes = field(repr=False)


class Certificate:
    """A certificate that may be renewed while it is used.

    ``context`` stays the same for as long as there is a server; each connection gets what was good
    last. ``pem`` is the same as bytes, another object once it was renewed.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        """Read the files. Raises BadValue as ``server_context`` does."""
        self._files = (cert, key)
        self._stamp = self._stamp_now()
        self.pem, self._newest = self._read()
        self.context = self._newest
        self.context.sni_callback = self._choose

    def renew(self) -> bool:
        """Read the files again if they have changed; gives whether they had.

        Files that cannot be used are complained of once, until they change again; what was good
        before goes on. It takes about a millisecond, and open connections stay as they are.

        Raises:
            BadValue: they have changed and cannot be used.
        """
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.pem, self._newest = self._read()
        return True

    def _read(self) -> tuple[Pem, ssl.SSLContext]:
        """Both files; one that is changed meanwhile has another stamp, and is read again then."""
        cert, key = self._files
        context = server_context(cert, key)
        try:
            return Pem(cert.read_bytes(), key.read_bytes()), context
        except OSError as error:
            raise BadValue(f"{error.filename} cannot be read: {error.strerror}") from error

    def _stamp_now(self) -> _Stamp:
        """What is different once a file was written or replaced; links are followed."""
        found = []
        for file in self._files:
            try:
                now = file.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((now.st_mtime_ns, now.st_ino, now.st_size))
        return tuple(found)

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _: ssl.SSLContext
    ) -> None:
        """Called in each handshake, whether the client names a host or not."""
        connection.context = self._newest


class _Encrypted(Exception):
    """A key asks for a password, which nobody is there to type."""


def _refused_password() -> str:
    raise _Encrypted


def _pem(file: Path, marker: bytes, what: str, wanted: str) -> None:
    """Do nothing if a file is there and has such a part. Raises BadValue."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_BYTES)
    except FileNotFoundError:
        raise BadValue(f"{what} does not exist", hint=f"expected a {wanted} as PEM") from None
    except OSError as error:
        raise BadValue(f"{what} cannot be read: {error.strerror}") from error
    if marker not in content:
        raise BadValue(f"{what} has no {wanted} in it", hint=f"expected a {wanted} as PEM")
