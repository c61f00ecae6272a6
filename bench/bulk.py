"""Bulk scoring beside the bare loop: ``modelway batch`` and what it cannot do without, in turns.

``python bench/bulk.py --millions N`` builds the demo's model of iris, writes N million rows of
Parquet, and scores them to Parquet by ``modelway batch`` and by a loop in as many processes that
reads the same file, runs the compiled session on as many rows at once and writes the same columns
with the same compression, one file a process, without checking, ordering or keeping anything. Both
are timed from start to end, with the start of their processes; ``cpu_ratio`` is that of the time on
a core, which the machine's other work disturbs less. Memory is the sum of the
proportional shares (PSS) of all processes of a run, at its highest. The figures go to
``bench/results/bulk.json``. Linux only.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from modelway.bundles.manifest import COMPILED
from modelway.composition.bundling import BuildRequest, cached
from modelway.composition.demo_training import LABELS, TARGET
from modelway.rest.arrow import arrow_array
from modelway.runtimes.onnx_session import quickest, session_of
from modelway.settings import load_settings
from modelway.settings.fields import cores

RESULTS = Path(__file__).parent / "results" / "bulk.json"
RANGES = {
    "sepal_length": (4.3, 7.9),
    "sepal_width": (2.0, 4.4),
    "petal_length": (1.0, 6.9),
    "petal_width": (0.1, 2.5),
}
GROUP_ROWS = 131_072
BATCH_ROWS = 8192
LEAST_RATIO = 0.8
MOST_PSS_MB = 500
EVERY_S = 0.2


def write_rows(path: Path, n_rows: int) -> None:
    """Flowers with a number each, with one digit behind the point as they are measured."""
    random = np.random.default_rng(0)
    names = ["id", *RANGES]
    schema = pa.schema([("id", pa.int64()), *((name, pa.float64()) for name in RANGES)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, GROUP_ROWS):
            n = min(GROUP_ROWS, n_rows - start)
            columns = [np.round(random.uniform(*one, n), 1) for one in RANGES.values()]
            writer.write_table(pa.table([np.arange(start, start + n), *columns], names))


def bundle_of_iris(folder: Path) -> Path:
    """The bundle of the demo's model."""
    module = "modelway.composition.demo_training"
    subprocess.run([sys.executable, "-m", module, str(folder)], check=True)
    request = BuildRequest(
        str(folder / "model.pickle"),
        name="iris",
        data=folder / "training.csv",
        target=TARGET,
        labels=",".join(LABELS),
    )
    settings = load_settings({"bundles.home": folder / "home"}, folder=folder, environment={})
    return cached(request, settings, print)


def bare(bundle: Path, source: Path, output: Path, worker: int, n_workers: int) -> None:
    """One process of the bare loop: every so manieth row group.

    Arrays are made without pandas, whose import would cost it half a second.
    """
    session = quickest(session_of(str(bundle / COMPILED)))
    labels = arrow_array(LABELS)
    file = pq.ParquetFile(source)
    names = ["id", "prediction", "label", *(f"probability_{k}" for k in range(len(LABELS)))]
    writer: pq.ParquetWriter | None = None
    for group in range(worker, file.metadata.num_row_groups, n_workers):
        scored = []
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
            matrix = np.stack([_numbers(batch.column(name)) for name in RANGES], axis=1)
            index, chances = session.run(["class_index", "probabilities"], {"X": matrix}, None)
            columns = [batch.column("id"), arrow_array(index), labels.take(arrow_array(index))]
            columns += map(arrow_array, chances.T)
            scored.append(pa.Table.from_arrays(columns, names))
        table = pa.concat_tables(scored)
        writer = writer or pq.ParquetWriter(
            output, table.schema, use_dictionary=["id", "prediction", "label"]
        )
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    content = np.frombuffer(column.buffers()[1], np.float64)
    return content[column.offset : column.offset + len(column)]


@dataclass(frozen=True)
class Taken:
    """Seconds, those of them on a core, and the highest megabytes, of a run."""

    seconds: float
    cpu_s: float
    pss_mb: float


class Memory:
    """The highest sum of the shares of memory of some processes and all they started."""

    def __init__(self, processes: list[subprocess.Popen[bytes]]) -> None:
        self.most_mb = 0.0
        self._processes = processes
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while any(one.poll() is None for one in self._processes):
            pids = [pid for one in self._processes for pid in _family(one.pid)]
            self.most_mb = max(self.most_mb, sum(map(_pss_mb, pids)))
            time.sleep(EVERY_S)

    def highest(self) -> float:
        """The highest sum, in megabytes, once all have ended."""
        self._thread.join()
        return self.most_mb


def _family(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *(one for child in text.split() for one in _family(int(child)))]


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    except OSError:
        pass
    return 0.0


def timed(commands: list[list[str]]) -> Taken:
    """What processes that run at once take."""
    begun, begun_cpu = time.perf_counter(), _cpu_s()
    processes = [subprocess.Popen(one, stdout=subprocess.DEVNULL) for one in commands]
    memory = Memory(processes)
    codes = [one.wait() for one in processes]
    seconds = time.perf_counter() - begun
    if any(codes):
        raise SystemExit(f"{commands} ended with {codes}")
    return Taken(seconds, _cpu_s() - begun_cpu, memory.highest())


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(folder: Path, n_rows: int, n_workers: int, rounds: int) -> dict[str, object]:
    """Both, in turns."""
    bundle, source, output = bundle_of_iris(folder), folder / "in.parquet", folder / "out.parquet"
    write_rows(source, n_rows)
    paths = ["--input", str(source), "--output", str(output), "--id-column", "id"]
    options = ["--batch-rows", str(BATCH_ROWS), "--workers", str(n_workers)]
    ours = [[sys.executable, "-m", "modelway", "batch", str(bundle), *paths, *options]]
    files = [folder / f"bare-{worker}.parquet" for worker in range(n_workers)]
    loop = [
        [
            sys.executable,
            __file__,
            "--bare",
            str(bundle),
            str(source),
            str(one),
            str(k),
            str(n_workers),
        ]
        for k, one in enumerate(files)
    ]
    pairs = []
    for _ in range(rounds):
        pairs.append((timed(loop), timed(ours)))
        print(*pairs[-1], flush=True)
        output.unlink()
    ratio = statistics.median(one.seconds / our.seconds for one, our in pairs)
    most_mb = max(our.pss_mb for _, our in pairs)
    return {
        "rows": n_rows,
        "workers": n_workers,
        "ratio": ratio,
        "ratio_wanted": LEAST_RATIO,
        "ratios": [one.seconds / our.seconds for one, our in pairs],
        "cpu_ratio": statistics.median(one.cpu_s / our.cpu_s for one, our in pairs),
        "rows_per_s": n_rows / statistics.median(our.seconds for _, our in pairs),
        "bare_rows_per_s": n_rows / statistics.median(one.seconds for one, _ in pairs),
        "pss_mb": most_mb,
        "pss_mb_wanted": MOST_PSS_MB,
        "bare_pss_mb": max(one.pss_mb for one, _ in pairs),
        "holds": ratio >= LEAST_RATIO and most_mb < MOST_PSS_MB,
    }


def main() -> None:
    """Measure, and keep the figures."""
    if sys.argv[1:2] == ["--bare"]:
        bundle, source, output = map(Path, sys.argv[2:5])
        bare(bundle, source, output, int(sys.argv[5]), int(sys.argv[6]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--millions", type=float, default=10)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        n_rows = int(asked.millions * 1_000_000)
        found = measured(Path(folder), n_rows, asked.workers, asked.rounds)
    asked.results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
