"""The listening socket, bound once and before anything slow; a port in use names its holder.

Source: proc(5), /proc/net/tcp and /proc/PID/fd.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from modelway.domain.errors import BadValue, PortInUse

_LISTEN = "0A"
_BACKLOG = 2048


def bind(host: str, port: int, option: str = "--port") -> socket.socket:
    """A listening TCP socket, inheritable by child processes; port 0 takes a free one.

    ``option`` is how the command line names the port.

    Raises:
        PortInUse: another process listens there; the message names it where that can be seen.
        BadValue: the host is no address of this machine, or the port is not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise BadValue(f"serve.host: {host!r} is not an address: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError) or "requested address" in str(error).lower():
            raise BadValue(f"cannot listen on {host}:{port}: {error.strerror}") from error
        held = holder(port)
        by = f" by {held}" if held else ""
        raise PortInUse(
            f"port {port} on {host} is in use{by}",
            hint=f"choose another with {option}, or {option} 0 for a free one",
        ) from error
    listener.set_inheritable(True)
    return listener


def bind_unix(path: Path) -> socket.socket:
    """A listening Unix socket at ``path``, inheritable by child processes.

    One that a process left behind when it died is replaced.

    Raises:
        PortInUse: another process listens there.
        BadValue: there is something else at the path, or it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            if listener.connect_ex(str(path)) == 0:
                raise PortInUse(f"another process listens at {path}")
            path.unlink()
            listener.close()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise BadValue(f"cannot listen at {path}: {error.strerror or error}") from error
    except PortInUse:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def listen_no_more(listener: socket.socket) -> None:
    """Refuse who connects from now on, whichever processes hold the socket (Linux)."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """Who listens on the port, as ``"python3 serve.py (process 123)"``; None if it cannot be seen.

    Only Linux shows it, and only for processes that this user may look into.
    """
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in proc.glob("[0-9]*"):
        try:
            found = any(str(link.readlink()) in wanted for link in (folder / "fd").iterdir())
            if found:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                line = " ".join(word for word in words if word)[:120]
                return f"{line or 'a process'} (process {folder.name})"
        except OSError:
            continue
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            cells = line.split()
            if cells[3] == _LISTEN and int(cells[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(cells[9])
    return inodes
