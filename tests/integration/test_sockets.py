"""The listening socket: bound, inheritable, and a port in use names its holder."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from modelway.domain.errors import BadValue, PortInUse
from modelway.supervisor.sockets import bind, holder


def test_port_0_takes_a_free_one_and_children_may_inherit_it() -> None:
    with bind("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        assert listener.get_inheritable()
        socket.create_connection((host, port), timeout=5).close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows who holds a port")
def test_a_port_in_use_names_its_holder() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            bind("127.0.0.1", port)
    assert f"port {port} on 127.0.0.1 is in use by " in caught.value.message
    assert f"(process {os.getpid()})" in caught.value.message
    assert caught.value.hint is not None
    assert "--port" in caught.value.hint


def test_a_host_of_another_machine_is_a_bad_value() -> None:
    with pytest.raises(BadValue, match=r"192\.0\.2\.1"):
        bind("192.0.2.1", 0)


def test_a_holder_that_cannot_be_seen_is_none(tmp_path: Path) -> None:
    assert holder(1, proc=tmp_path) is None
