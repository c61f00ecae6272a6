"""``modelway batch``: what is there already is kept, and nothing bars the way for ever."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from modelway.composition.batch_scoring import ScoreRequest, score_files
from modelway.domain.errors import TargetExists
from modelway.domain.signature import Column, Datatype, Signature
from modelway.settings import load_settings
from support.live import modelway
from support.scored import rows_of
from support.served import function_bundle

PETS = Signature(columns=(Column("legs", "legs", Datatype.INT64, maximum=10, minimum=0),))
LEGS = """
import pathlib


def legs(legs: int) -> float:
    {first}
    return legs * 2.0
"""
WRITES = 'pathlib.Path("scored.csv").write_text("precious")'


def pets(folder: Path, first: str = "pass") -> None:
    """A model in ``folder``, and rows of it."""
    function_bundle(folder / "pets", LEGS.format(first=first), "legs", PETS)
    (folder / "rows.csv").write_text("legs\n4\n2\n")


def batch(
    folder: Path, *words: str, exit_code: int = 0, source: str = "rows.csv"
) -> subprocess.CompletedProcess[str]:
    """A run there."""
    names = ("--input", source, "--output", "scored.csv")
    return modelway("batch", "pets", *names, *words, folder=folder, exit_code=exit_code)


def test_an_output_that_comes_while_rows_are_scored_is_kept(tmp_path: Path) -> None:
    pets(tmp_path, WRITES)
    said = batch(tmp_path, exit_code=4).stderr
    assert "scored.csv was not there when this began" in said
    assert "move it away, and go on with --resume" in said
    output = tmp_path / "scored.csv"
    assert output.read_text() == "precious"
    output.unlink()
    batch(tmp_path, "--resume")
    assert [row["prediction"] for row in rows_of(output)] == ["8.0", "4.0"]
    assert not (tmp_path / "scored.csv.parts").exists()


def test_an_output_that_comes_while_the_model_is_built_is_kept(tmp_path: Path) -> None:
    (tmp_path / "pets.py").write_text(LEGS.format(first="pass"))
    (tmp_path / "rows.csv").write_text("legs\n4\n")
    output = tmp_path / "scored.csv"
    request = ScoreRequest(
        model=f"{tmp_path / 'pets.py'}:legs",
        source=str(tmp_path / "rows.csv"),
        output=str(output),
        id_column=None,
        columns=None,
        batch_rows=10,
        engine="local",
        address=None,
        workers=1,
        max_errors=0,
        errors=None,
        resume=False,
    )
    settings = load_settings({"bundles.home": tmp_path / "home"}, environment={})
    with pytest.raises(TargetExists, match=r"scored\.csv is there already"):
        score_files(request, settings, lambda _: output.write_text("precious"), lambda _: None)
    assert output.read_text() == "precious"
    assert not (tmp_path / "scored.csv.parts").exists()


def test_a_folder_in_which_nothing_was_begun_is_no_leave_to_replace(tmp_path: Path) -> None:
    pets(tmp_path)
    (tmp_path / "scored.csv.parts").mkdir()
    (tmp_path / "scored.csv").write_text("precious")
    assert "is there already" in batch(tmp_path, "--resume", exit_code=4).stderr
    assert (tmp_path / "scored.csv").read_text() == "precious"
    (tmp_path / "scored.csv").unlink()
    batch(tmp_path)


def test_a_link_to_nothing_is_not_replaced(tmp_path: Path) -> None:
    pets(tmp_path)
    (tmp_path / "scored.csv").symlink_to("elsewhere.csv")
    assert "is there already" in batch(tmp_path, exit_code=4).stderr
    assert (tmp_path / "scored.csv").is_symlink()


def test_a_refused_resume_leaves_what_it_was_refused_for(tmp_path: Path) -> None:
    pets(tmp_path)
    rows, parts = tmp_path / "rows.csv", tmp_path / "scored.csv.parts"
    rows.write_text("legs\n4\nmany\n")
    batch(tmp_path, exit_code=12)
    begun = (parts / "manifest.json").read_bytes()
    for _ in range(2):
        said = batch(tmp_path, "--resume", "--batch-rows", "7", exit_code=4).stderr
        assert "batch_rows was 8192 and is 7" in said
        assert (parts / "manifest.json").read_bytes() == begun
    batch(tmp_path, "--resume", "--max-errors", "1", exit_code=11)


def test_after_too_many_errors_what_is_said_can_be_done(tmp_path: Path) -> None:
    pets(tmp_path)
    rows, parts = tmp_path / "rows.csv", tmp_path / "scored.csv.parts"
    errors = tmp_path / "scored.csv.errors.jsonl"
    rows.write_text("legs\n4\nmany\n")
    anew = "remove scored.csv.parts and scored.csv.errors.jsonl, and begin anew"
    assert anew in batch(tmp_path, exit_code=12).stderr
    rows.write_text("legs\n4\n2\n")
    said = batch(tmp_path, "--resume", exit_code=4).stderr
    assert "input rows.csv has changed" in said
    assert f"remove scored.csv.parts, and {errors} where it is there, and begin anew" in said
    shutil.rmtree(parts)
    assert "give --errors another name, or remove it" in batch(tmp_path, exit_code=4).stderr
    errors.unlink()
    batch(tmp_path)
    assert [row["prediction"] for row in rows_of(tmp_path / "scored.csv")] == ["8.0", "4.0"]
