"""Damaged Arrow streams and Parquet files end in an error of ours, never in the end of the process.

The libraries that read them are not all Python, so a child process is what reads here.
"""

from __future__ import annotations

import secrets
import subprocess
import sys

SCRIPT = """
import random
import sys
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from modelway.domain.errors import InvalidInput
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.validation import Validator
from modelway.rest.arrow import read_parquet, read_stream

kinds = {"a": Datatype.FP64, "s": Datatype.STRING, "t": Datatype.DATETIME, "b": Datatype.BOOL}
columns = tuple(Column(n, n, kind, nullable=True, optional=True) for n, kind in kinds.items())
validator = Validator(Signature(columns=columns), strict=False)
table = pa.table(
    {
        "a": [1.5, None, 3.0],
        "s": ["x", None, "yy"],
        "t": pa.array([1, 2, None], pa.timestamp("us")),
        "b": [True, None, False],
        "z": [[1], None, [2, 3]],
    }
)


def stream(table, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return read_stream, bytes(sink.getvalue())


def parquet(**options):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return read_parquet, bytes(sink.getvalue())


texts = table.column("s")
whole = [
    stream(table),
    stream(table, "zstd"),
    stream(table.set_column(1, "s", texts.dictionary_encode()), "lz4"),
    stream(table.set_column(1, "s", texts.cast(pa.string_view()))),
    parquet(),
    parquet(compression="zstd", use_dictionary=False, write_page_index=True),
    parquet(compression="none", data_page_version="2.0", row_group_size=2),
]
draw = random.Random(int(sys.argv[1]))
seen = Counter()
for _ in range(int(sys.argv[2])):
    read, body = draw.choice(whole)
    damaged = bytearray(body)
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(damaged))
        way = draw.randrange(4)
        if way == 0:
            damaged[place] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
        elif way == 1:
            damaged[place] ^= 1 << draw.randrange(8)
        elif way == 2:
            damaged[place : place + 8] = draw.choice([b"\\xff" * 8, b"\\0" * 8])
        else:
            del damaged[place : place + draw.randrange(1, 9)]
    try:
        read(bytes(damaged), validator, 1000, 1_000_000)
        seen["read"] += 1
    except InvalidInput:
        seen["refused"] += 1
assert seen["refused"] > seen["read"] > 0, seen
"""


def test_damaged_bodies_are_refused() -> None:
    seed = str(secrets.randbelow(10**9))
    print(f"seed {seed}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, seed, "4000"], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, (seed, done.stderr[-2000:])
