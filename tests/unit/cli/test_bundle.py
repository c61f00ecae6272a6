"""``modelway bundle``: what is refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metric", "acc=nan"), "--metric acc=nan: expected NAME=NUMBER"),
        (("--metric", "acc=inf"), "--metric acc=inf"),
        (("--metric", "=5"), "--metric =5"),
        (("--metric", "acc"), "--metric acc"),
        (("--name", ""), "'' is not a usable name"),
        (("--target", "y"), "give it with --data"),
    ],
)
def test_what_makes_no_sense_ends_with_2(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.py").write_text("def f(x: float) -> float:\n    return x\n")
    source, output = f"{tmp_path / 'rules.py'}:f", str(tmp_path / "bundle")
    assert run(["bundle", "build", source, "-o", output, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
