"""Files of rows as tests read them, whatever their format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def damaged(how: int, cells: list[str]) -> str:
    """A line of CSV that fits no model of loans, in one of four ways."""
    if how == 0:
        return ",".join(cells[:3]) + "\n"
    if how == 1:
        return ",".join([*cells, "more"]) + "\n"
    if how == 2:
        return ",".join([*cells[:-1], "plenty"]) + "\n"
    return f'"{cells[0]},' + ",".join(cells[1:]) + "\n"
