from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from modelway.backends.jsonl_files import JsonlReader, JsonlSplitter
from modelway.batch.faults import Fault
from modelway.batch.ports import Columns
from modelway.batch.scoring import Model, Score
from modelway.domain.errors import InputRefused, InvalidInput, PredictFailed, SignatureMismatch
from modelway.domain.inference import Outputs
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.validation import Validator

SIGNATURE = Signature(
    columns=(Column("a", "a", Datatype.FP64), Column("b", "b", Datatype.INT64, nullable=True))
)


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, columns: Columns) -> None:
        values = [list(one) for one in columns.values()]  # type: ignore[arg-type] # no Arrow here
        self.rows += [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]

    def close(self) -> None:
        pass


def doubled(table: Table) -> Outputs:
    """Twice the first column; refuses 13, and fails at 14."""
    found = table.matrix[:, 0]
    if 14 in found:
        raise PredictFailed("it failed")
    if 13 in found:
        raise InputRefused("the model refuses these values")
    return {"prediction": found * 2}


MODEL = Model(
    Validator(SIGNATURE, strict=False),
    doubled,
    lambda outputs, n_rows: {"prediction": outputs["prediction"].tolist()},
)


def scored(folder: Path, lines: list[str], most: int = 10_000) -> tuple[list[Any], list[Fault]]:
    """The rows that were answered, and the faults."""
    _, writer, faults = scored_to(folder, lines, Kept(), most)
    return writer.rows, faults


KeptT = TypeVar("KeptT", bound="Kept")


def scored_to(
    folder: Path, lines: list[str], writer: KeptT, most: int = 10_000
) -> tuple[Score, KeptT, list[Fault]]:
    """What became of the rows, the writer, and the faults."""
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines))
    score, faults = Score(MODEL, most), list[Fault]()
    for span in JsonlSplitter().spans(path):
        for rows in JsonlReader(None, SIGNATURE.positions).read(path, span, 1000):
            faults += score.write(rows, writer)
    assert (score.n_rows, score.n_errors) == (len(writer.rows), len(faults))
    return score, writer, faults


def test_good_rows_are_answered_in_order_between_bad_ones(tmp_path: Path) -> None:
    lines = [f'{{"a": {k}, "b": null, "x": "{k}"}}' for k in range(20)]
    lines[14] = lines[13] = '{"a": null}'
    lines[3] = '{"a": "much", "b": 0.5}'
    lines[7] = "{"
    rows, faults = scored(tmp_path, lines)
    expected = [k for k in range(20) if k not in (3, 7, 13, 14)]
    assert [row["prediction"] for row in rows] == [2.0 * k for k in expected]
    assert [row["x"] for row in rows] == [str(k) for k in expected]
    assert [one.row for one in faults] == [4, 8, 14, 15]
    both = next(one for one in faults if one.row == 4)
    assert [(one.column, one.code) for one in both.problems] == [
        ("a", "wrong-type"),
        ("b", "wrong-value"),
    ]
    assert both.problems[0].message == "a: expected a number, got 'much'"


def test_every_problem_of_every_row_is_found_however_many_there_are(tmp_path: Path) -> None:
    lines = ['{"a": "x", "b": "y"}' if k % 3 else f'{{"a": {k + 100}, "b": 1}}' for k in range(900)]
    rows, faults = scored(tmp_path, lines)
    assert (len(rows), len(faults)) == (300, 600)
    assert all(len(one.problems) == 2 for one in faults)


class Refusing(Kept):
    """A writer that cannot hold some values, and then writes nothing of what it was given."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.n_writes = 0
        self._refused = frozenset(refused)

    def write(self, columns: Columns) -> None:
        self.n_writes += 1
        if self._refused.intersection(columns["x"]):  # type: ignore[arg-type] # no Arrow here
            raise InvalidInput("it cannot hold a value")
        super().write(columns)


def test_what_cannot_be_written_is_a_row_too(tmp_path: Path) -> None:
    lines = [f'{{"a": {k + 100}, "b": 1, "x": "{k}"}}' for k in range(1000)]
    lines[2] = "{"
    score, writer, faults = scored_to(tmp_path, lines, Refusing("0", "500", "501", "999"))
    assert [row["x"] for row in writer.rows] == [
        str(k) for k in range(1000) if k not in (0, 2, 500, 501, 999)
    ]
    assert score.n_rows == 995
    refused = [one for one in faults if one.line != 3]
    assert [one.row for one in refused] == [1, 501, 502, 1000]
    (problem,) = refused[1].problems
    assert (problem.code, problem.message) == ("invalid-input", "it cannot hold a value")
    assert refused[1].values["x"] == "500"


def test_where_nothing_can_be_written_it_is_not_tried_with_every_row(tmp_path: Path) -> None:
    lines = [f'{{"a": {k + 100}, "b": 1, "x": "no"}}' for k in range(1000)]
    score, writer, _ = scored_to(tmp_path, lines, Refusing("no"), most=5)
    assert score.is_exceeded
    assert writer.n_writes < 50


def test_what_the_model_refuses_is_one_row(tmp_path: Path) -> None:
    rows, faults = scored(tmp_path, [f'{{"a": {k}, "b": 1}}' for k in range(14)])
    assert [row["prediction"] for row in rows] == [2.0 * k for k in range(13)]
    ((fault, problem),) = [(one.row, one.problems[0]) for one in faults]
    assert (fault, problem.code) == (14, "input-refused")


def test_what_the_model_cannot_do_ends_it(tmp_path: Path) -> None:
    with pytest.raises(PredictFailed):
        scored(tmp_path, ['{"a": 14, "b": 1}'])


def test_a_name_and_its_alias_in_one_row_is_that_rows_fault(tmp_path: Path) -> None:
    signature = Signature(columns=(Column("a b", "ab", Datatype.FP64),))
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a b": 1}\n{"a b": 1, "ab": 2}\n')
    (span,) = JsonlSplitter().spans(path)
    (rows,) = JsonlReader(None, signature.positions).read(path, span, 10)
    model = Model(
        Validator(signature, strict=False),
        lambda table: {"prediction": np.zeros(table.n_rows)},
        MODEL.answers,
    )
    found = list(model.scored(rows))
    assert [one.row for one in found if isinstance(one, Fault)] == [2]
    assert len(found) == 2


def test_a_part_says_when_it_has_too_many_errors(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "x"}\n' * 3)
    (span,) = JsonlSplitter().spans(path)
    score = Score(MODEL, 2)
    for rows in JsonlReader(None, SIGNATURE.positions).read(path, span, 10):
        score.write(rows, Kept())
    assert score.is_exceeded


def test_a_missing_column_of_csv_is_no_rows_fault(tmp_path: Path) -> None:
    from modelway.backends.csv_files import CsvReader, CsvSplitter

    path = tmp_path / "rows.csv"
    path.write_text("b\n1\n2\n")
    (span,) = CsvSplitter().spans(path)
    (rows,) = CsvReader(None, SIGNATURE.positions, None).read(path, span, 10)
    with pytest.raises(SignatureMismatch, match="a: expected a number, nothing came"):
        list(MODEL.scored(rows))
