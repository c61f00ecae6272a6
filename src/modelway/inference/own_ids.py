"""Ids that callers brought, and the inputs that came with them: with others an id is refused.

The processes of a service share one table in a file, in which an entry says of an id of an endpoint
what its inputs hash to. It has a fixed number of places; an id has sixteen that it may be in, and
takes the one written longest ago where none is free. So what is known are about the last
150,000 ids that callers brought, and an older one is as good as new. The file may outlive the
service that made it.

There are no locks. Entries are written word by word, so two processes may write one place at once,
or one may read what another is writing; an entry therefore ends in a hash of its other words, and
one whose hash does not fit is no entry. That may lose an id, so that another body is answered under
it, and never makes one up: who is refused has asked with other inputs, but for 64 bits of a hash
that nobody can aim at, since its key is drawn when the file is made.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import secrets
import struct
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

import msgspec

from modelway.domain.errors import IdempotencyMismatch
from modelway.domain.tables import Table

PLACES = 2**18
PROBED = 16

_ENTRY = struct.Struct("=4Q")  # id, inputs, when it was written (ns), hash of these
_WORDS = struct.Struct("=3Q")
_KEY_BYTES = 32
_HEAD_BYTES = 4096
_FREE = (0, 0, 0, 0)

_log = logging.getLogger("modelway.inference")

_encode = msgspec.msgpack.Encoder(enc_hook=repr).encode
# A whole number of JSON may have any size; members have no order.
_encode_parameters = msgspec.json.Encoder(enc_hook=repr, order="sorted").encode


class OwnIds:
    """The ids that callers brought; ``path`` is a file that the processes of a service share.

    It has ``places`` entries of 32 bytes, a power of 2. Where it cannot be made nothing is refused,
    and the log says so. Used by one thread of each process.
    """

    def __init__(self, path: Path, places: int = PLACES) -> None:
        self._path = path
        self._places = places
        self._memory: mmap.mmap | None = None
        self._key = b""
        self._is_broken = False

    def open(self) -> None:
        """Make the table where no process has; that takes as long as its disk does.

        What is not open yet is opened by the first id.
        """
        self._opened()

    def check(self, endpoint: str, prediction_id: str, inputs: bytes) -> None:
        """Know an id from now on, with what ``inputs_hash`` gave for its inputs.

        Raises:
            IdempotencyMismatch: it was brought before, with other inputs.
        """
        memory = self._opened()
        if memory is None:
            return
        mine, asked = self._hash(f"{endpoint}\0{prediction_id}".encode()), self._hash(inputs)
        taken, oldest = 0, None
        for probe in range(PROBED):
            place = _HEAD_BYTES + (mine + probe) % self._places * _ENTRY.size
            entry = _ENTRY.unpack_from(memory, place)
            whose, with_inputs, written, _ = entry
            if whose == mine and self._is_whole(entry):
                if with_inputs != asked:
                    raise IdempotencyMismatch(endpoint, prediction_id)
                return
            if oldest is None or written < oldest:
                taken, oldest = place, written
            if entry == _FREE:
                break
        words = mine, asked, time.time_ns()
        _ENTRY.pack_into(memory, taken, *words, self._hash(_WORDS.pack(*words)))

    def _is_whole(self, entry: tuple[int, ...]) -> bool:
        return entry[3] == self._hash(_WORDS.pack(*entry[:3]))

    def _hash(self, content: bytes) -> int:
        """64 bits, never 0."""
        return int.from_bytes(blake2b(content, digest_size=8, key=self._key).digest()) or 1

    def _opened(self) -> mmap.mmap | None:
        """The table, made if no process has made it yet; None where it cannot be."""
        if self._memory is None and not self._is_broken:
            try:
                if not self._path.exists():
                    _make(self._path, self._places)
                with self._path.open("r+b") as file:
                    memory = mmap.mmap(file.fileno(), 0)
                if len(memory) != _HEAD_BYTES + self._places * _ENTRY.size:
                    raise ValueError(f"{self._path} was not made for this; remove it")
                self._memory, self._key = memory, memory[:_KEY_BYTES]
            except (OSError, ValueError) as error:
                self._is_broken = True
                _log.warning("ids of callers are not compared: %s", error)
        return self._memory


def inputs_hash(table: Table) -> bytes:
    """A hash of a table's rows: names, types, shapes and values of its columns or tensors.

    It takes about a second for a gigabyte.
    """
    signature = table.signature
    specs = signature.columns if signature.is_tabular else signature.tensors
    said = _encode_parameters(dict(table.parameters))
    found = blake2b(_encode([table.n_rows, [one.name for one in specs], said]))
    for array in (table.matrix,) if signature.is_numeric else table.arrays:
        found.update(_encode([array.dtype.str, array.shape]))
        # Of text its own, whatever it is; of numbers the bytes.
        found.update(_encode(array.tolist()) if array.dtype.kind == "O" else array.tobytes())
    return found.digest()


def _make(path: Path, places: int) -> None:
    """Make the file, whole or not at all; another process may have been quicker.

    Its room is taken, so a file system that is full says so now, and not by a signal later, and it
    is on the disk before it has its name.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES).ljust(_HEAD_BYTES, b"\0"))
            file.flush()
            n_bytes = places * _ENTRY.size
            if sys.platform == "linux":
                os.posix_fallocate(file.fileno(), _HEAD_BYTES, n_bytes)
            else:
                file.write(bytes(n_bytes))
                file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
