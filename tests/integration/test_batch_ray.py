"""``modelway batch --engine ray`` on a cluster of this machine: the same job, the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelway.domain.signature import Column, Datatype, Signature
from support.ending import killed
from support.live import MODELWAY, modelway
from support.served import FLOWER, compiled_bundle, flower_graph, function_bundle

N_ROWS = 400_000
"""Four parts of Parquet."""

CLUSTER = """
import sys
import ray

found = ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80_000_000)
print("at", found.address_info["address"], flush=True)
sys.stdin.readline()
"""
PETS = Signature(columns=(Column("legs", "legs", Datatype.INT64),))
SLOW = """
import time


def slow(legs):
    time.sleep(0.1)
    return legs * 2.0
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a Ray cluster of our own, whose token is in the environment meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        with killed(process):
            try:
                assert process.stdout is not None
                found = ""
                while not found.startswith("at "):
                    found = process.stdout.readline()
                    assert found
                yield found.split()[1]
                process.communicate("\n", timeout=60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "flower"
    return compiled_bundle(folder, flower_graph(), FLOWER, classes=(0, 1, 2))


def rows(path: Path, n_rows: int) -> None:
    """Flowers, of which every thousandth has no petal."""
    numbers = pa.array(range(n_rows))
    lengths = pa.compute.add(4.3, pa.compute.divide(numbers.cast(pa.float64()), n_rows))
    widths = pa.array([None if k % 1000 == 7 else 0.1 + k % 24 / 10 for k in range(n_rows)])
    names = ["number", "sepal_length", "petal width"]
    pq.write_table(
        pa.Table.from_arrays([numbers, lengths, widths], names), path, row_group_size=50_000
    )


def test_ray_writes_what_this_machine_would_write(
    flower: Path, address: str, tmp_path: Path
) -> None:
    rows(tmp_path / "rows.parquet", N_ROWS)
    words = ("--input", "rows.parquet", "--id-column", "number", "--max-errors", str(N_ROWS))
    ends = {}
    for engine, more in (("local", ()), ("ray", ("--address", address))):
        output = f"{engine}.parquet"
        done = modelway(
            *("batch", flower, *words, "--output", output, "--json"),
            *("--engine", engine, *more),
            folder=tmp_path,
            exit_code=11,
        )
        ends[engine] = json.loads(done.stdout)
    assert ends["ray"]["rows"] == ends["local"]["rows"] == N_ROWS - N_ROWS // 1000
    for name in ("{}.parquet", "{}.parquet.errors.jsonl"):
        local, ray = ((tmp_path / name.format(one)).read_bytes() for one in ("local", "ray"))
        assert local == ray
    assert not list(tmp_path.glob("*.parts"))


def test_a_run_that_was_begun_here_goes_on_there(address: str, tmp_path: Path) -> None:
    bundle = function_bundle(tmp_path / "pets", SLOW, "slow", PETS)
    for name in "abcd":
        (tmp_path / f"{name}.csv").write_text("legs\n" + "4\n" * 10)
    words = ("batch", bundle, "--input", "?.csv", "--batch-rows", "1", "--workers", "1")
    begun = [*MODELWAY, *map(str, words), "--output", "scored.csv"]
    process = subprocess.Popen(begun, cwd=tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "scored.csv.parts" / "00000000.json").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    more = ("--output", "scored.csv", "--resume", "--engine", "ray", "--address", address)
    done = modelway(*words, *more, "--json", folder=tmp_path)
    summary = json.loads(done.stdout)
    assert summary["rows"] == 40
    assert 10 <= summary["resumed_rows"] < 40
    modelway(*words, "--output", "whole.csv", folder=tmp_path)
    assert (tmp_path / "scored.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_an_interrupted_run_is_gone_on_with(address: str, tmp_path: Path) -> None:
    bundle = function_bundle(tmp_path / "pets", SLOW, "slow", PETS)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("legs\n" + "4\n" * 20)
    rows = ("--input", "?.csv", "--batch-rows", "1", "--output", "scored.csv")
    words = ("batch", bundle, *rows, "--workers", "1", "--engine", "ray")
    process = subprocess.Popen(
        [*MODELWAY, *map(str, words)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_ADDRESS": address},
    )
    until = time.monotonic() + 60
    while not (tmp_path / "scored.csv.parts" / "00000000.json").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on" in said
    done = modelway(*words, "--address", address, "--resume", folder=tmp_path)
    assert "40 rows scored" in done.stdout


def test_a_worker_that_dies_ends_the_run_and_says_so(address: str, tmp_path: Path) -> None:
    dies = (
        "import os\n\n\ndef dies(legs):\n    if legs == 5:\n        os._exit(3)\n    return legs\n"
    )
    bundle = function_bundle(tmp_path / "pets", dies, "dies", PETS)
    (tmp_path / "a.csv").write_text("legs\n4\n5\n")
    words = ("batch", bundle, "--input", "a.csv", "--output", "scored.csv", "--engine", "ray")
    done = modelway(*words, "--address", address, folder=tmp_path, exit_code=8)
    assert "a worker on the Ray cluster ended while it scored part 1" in done.stderr
    assert "--resume" in done.stderr


def test_what_is_wrong_is_said_as_it_is_here(
    flower: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text("sepal_length\n5\n")
    words = ("batch", flower, "--input", "rows.csv", "--output", "scored.csv")
    done = modelway(*words, "--engine", "ray", "--address", address, folder=tmp_path, exit_code=2)
    assert "petal width: expected a number" in done.stderr
    assert not (tmp_path / "scored.csv.parts").exists()
    done = modelway(
        *words, "--engine", "ray", "--address", "127.0.0.1:1", folder=tmp_path, exit_code=8
    )
    assert "no Ray cluster can be joined at 127.0.0.1:1" in done.stderr
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    done = modelway(*words, "--engine", "ray", "--resume", folder=tmp_path, exit_code=8)
    assert "no Ray cluster can be joined at 127.0.0.1:1: " in done.stderr
    done = modelway(*words, "--address", address, folder=tmp_path, exit_code=2)
    assert "--engine ray" in done.stderr
