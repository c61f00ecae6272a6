"""Bulk scoring that is killed, and rows that do not fit, in the sizes it is made for.

``PYTHONPATH=tests python bench/bulk_soak.py`` scores 10 million rows of Parquet once undisturbed,
then again, killed with SIGKILL at 20 random moments and gone on with each time: the output must
have the same bytes. Then it scores a million loans of CSV of which every hundredth is damaged: all
others must be answered, in order, and each damaged one listed by its line. The seed is fresh and
printed. The figures go to ``bench/results/bulk_soak.json``. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bulk import bundle_of_iris, write_rows
from sklearn.linear_model import LogisticRegression

from modelway.cli.exits import ROW_ERRORS
from support.loans import COLUMNS, TARGET, save_loans
from support.scored import damaged, rows_of

RESULTS = Path(__file__).parent / "results" / "bulk_soak.json"
MODELWAY = [sys.executable, "-m", "modelway"]
LONGEST_S = 8.0
"""A run is killed sooner than that after it has begun."""


def main() -> int:
    """Score, kill, compare; says whether what must be is so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, default=10, help="rows of Parquet (10)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--loans", type=int, default=1_000_000, help="rows of CSV (1,000,000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    found: dict[str, Any] = {"seed": given.seed}
    with tempfile.TemporaryDirectory() as folder:
        n_rows, drawn = int(given.millions * 1e6), random.Random(given.seed)
        found["killed"] = killed(Path(folder), n_rows, given.kills, drawn)
        print(found["killed"], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found["damaged"] = faulty(Path(folder), given.loans)
        print(found["damaged"], flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return int(not (found["killed"]["same_bytes"] and found["damaged"]["right"]))


def killed(folder: Path, n_rows: int, kills: int, drawn: random.Random) -> dict[str, Any]:
    """Score once undisturbed and once killed so often; how the outputs compare."""
    bundle, source, output = bundle_of_iris(folder), folder / "in.parquet", folder / "out.parquet"
    write_rows(source, n_rows)
    words = [*MODELWAY, "batch", str(bundle), "--input", str(source), "--output", str(output)]
    words += ["--id-column", "id"]
    begun = time.monotonic()
    subprocess.run(words, check=True)
    whole_s, expected = time.monotonic() - begun, _sha256(output)
    output.unlink()
    n_killed, runs, same = 0, 0, True
    while n_killed < kills:
        process = subprocess.Popen([*words, "--resume"], stdout=subprocess.DEVNULL)
        runs += 1
        try:
            process.wait(drawn.uniform(0.5, LONGEST_S))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
        parts = output.with_name(f"{output.name}.parts")
        if output.exists() and not parts.exists():  # it had ended before: it begins anew
            same &= _sha256(output) == expected
            output.unlink()
    subprocess.run([*words, "--resume"], check=True)
    same &= _sha256(output) == expected
    return {
        "rows": n_rows,
        "undisturbed_s": round(whole_s, 1),
        "kills": n_killed,
        "runs": runs + 1,
        "same_bytes": same,
    }


def faulty(folder: Path, n_rows: int) -> dict[str, Any]:
    """Score loans of which every hundredth is damaged."""
    save_loans(LogisticRegression(max_iter=1000), folder)
    rows, header = rows_of(folder / "rows.csv"), ["Loan_ID", *COLUMNS]
    bad = range(50, n_rows, 100)
    with (folder / "loans.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for k in range(n_rows):
            row = {**rows[k % len(rows)], "Loan_ID": f"L{k}"}
            cells = [row[name] for name in header]
            if k in bad:
                stream.write(damaged(k // 100 % 4, cells))
            else:
                writer.writerow(cells)
    model = ["--data", "rows.csv", "--target", TARGET, "-o", "loan"]
    subprocess.run(
        [*MODELWAY, "bundle", "build", "model.pickle", *model],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    words = ["--input", "loans.csv", "--output", "scored.csv", "--id-column", "Loan_ID"]
    done = subprocess.run(
        [*MODELWAY, "batch", "loan", *words, "--max-errors", str(len(bad)), "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    said = json.loads(done.stdout)
    with (folder / "scored.csv").open(newline="") as stream:
        scored = [one["Loan_ID"] for one in csv.DictReader(stream)]
    listed = rows_of(folder / said["errors_file"])
    right = (
        done.returncode == ROW_ERRORS
        and scored == [f"L{k}" for k in range(n_rows) if k not in bad]
        and [one["line"] for one in listed] == [k + 2 for k in bad]
    )
    return {
        "rows": n_rows,
        "answered": said["rows"],
        "listed": said["errors"],
        "rows_per_s": said["rows_per_s"],
        "right": right,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
