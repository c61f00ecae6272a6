"""Posting to a URL that somebody else has named: to the address that was looked at, and no farther.

A name that is looked up twice may be somewhere else the second time (DNS rebinding); so the
connection goes to the address that was found to be allowed, and the certificate is checked against
the name. Redirects are not followed, proxies not asked, and of an answer a few KiB are read.

Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet"; RFC 6890; RFC 6052.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from urllib.parse import SplitResult, urlsplit

from modelway import __version__
from modelway.domain.errors import CallbackRefused, Unavailable
from modelway.jobs.callbacks import USUAL_PORTS
from modelway.jobs.calling_back import begun

_CONNECT_S = 10.0
_WHOLE_S = 30.0
"""However slowly its host is found, is reached and answers, a post takes no longer."""

_READ_BYTES = 4096
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebhookPost:
    """Posts messages; threads may share it.

    Addresses of private networks and of this host are refused, unless ``private`` ones may be
    called too, or the URL itself says the address.
    """

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._look_ups = _LookUps()
        self._tls = ssl.create_default_context()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post; gives the status.

        Raises:
            CallbackRefused: the host is at an address that is not called.
            Unavailable: it does not answer, or not in time.
        """
        until_s = time.monotonic() + _WHOLE_S
        asked = urlsplit(url)
        addresses = self._addresses(url, asked, until_s)
        try:
            return self._posted(asked, addresses, headers, body, until_s)
        except (OSError, ValueError, http.client.HTTPException) as error:
            words = str(error) or type(error).__name__
            raise Unavailable(f"{asked.hostname} cannot be told: {words}") from error

    def _addresses(self, url: str, asked: SplitResult, until_s: float) -> Sequence[str]:
        """Where the host is; all of it may be called."""
        host = asked.hostname or ""
        try:
            return [str(ipaddress.ip_address(host))]  # the settings name it as it stands there
        except ValueError:
            pass
        try:
            addresses = self._look_ups.addresses(host, until_s)
        except (OSError, UnicodeError) as error:
            raise Unavailable(f"{host} cannot be found: {error}") from error
        for address in addresses:
            if not self._private and not _is_public(ipaddress.ip_address(address)):
                raise CallbackRefused(url, f"{host} is at {address}, which is no public address")
        return addresses

    def _posted(
        self,
        asked: SplitResult,
        addresses: Sequence[str],
        headers: Mapping[str, str],
        body: bytes,
        until_s: float,
    ) -> int:
        host, port = asked.hostname or "", asked.port or USUAL_PORTS[asked.scheme]
        connected = _connected(addresses, port, until_s)
        if asked.scheme == "https":
            connected = self._tls.wrap_socket(
                connected, server_hostname=host, do_handshake_on_connect=False
            )
        ending = threading.Timer(until_s - time.monotonic(), _broken_off, (connected,))
        ending.daemon = True
        ending.start()
        connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_S)
        try:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            connection.sock = connected
            target = (asked.path or "/") + (f"?{asked.query}" if asked.query else "")
            said = {
                **headers,
                "host": asked.netloc,
                "user-agent": f"modelway/{__version__}",
                "connection": "close",
            }
            connection.request("POST", target, body, said)
            with connection.getresponse() as answer:
                answer.read(_READ_BYTES)
                return answer.status
        finally:
            ending.cancel()
            connection.close()
            connected.close()


class _LookUps:
    """Where hosts are.

    A look-up cannot be cut short. So each has a thread, which is left alone where it takes too
    long; and who asks for the same host meanwhile waits for that one, so that no more of them hang
    than there are hosts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, Future[Sequence[str]]] = {}

    def addresses(self, host: str, until_s: float) -> Sequence[str]:
        """All of a host's. Raises OSError, also where they are not found in time, UnicodeError."""
        with self._lock:
            found = self._begun.get(host)
            if found is None or found.done():
                found = self._begun[host] = begun(partial(_looked_up, host))
        if not wait([found], until_s - time.monotonic()).done:
            raise TimeoutError("it was not found in time")
        return found.result()


def _looked_up(host: str) -> Sequence[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys([str(one[4][0]) for one in found]))


def _connected(addresses: Sequence[str], port: int, until_s: float) -> socket.socket:
    """A connection to the first address that takes one. Raises OSError."""
    failed: OSError = TimeoutError("its address was not found in time")
    for address in addresses:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
        try:
            return socket.create_connection((address, port), min(_CONNECT_S, left_s))
        except OSError as error:
            failed = error
    raise failed


def _broken_off(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _is_public(address: _Address) -> bool:
    """Whether anybody can reach an address, also by one that stands for it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        within = address.ipv4_mapped or address.sixtofour
        if within is not None:
            return _is_public(within)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
