"""``signature.toml``."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.bundles.signature_file import read_signature_file
from modelway.domain.errors import InvalidSignature, SourceNotFound
from modelway.domain.signature import Datatype

WHOLE = """
description = "Loans"

[[columns]]
name = "age at start"
alias = "age"
datatype = "INT64"
nullable = true
minimum = 18
maximum = 99.5
unit = "years"
description = "of the applicant"

[[columns]]
name = "area"
datatype = "CATEGORICAL"
categories = ["Rural", "Urban"]
closed = true

[label_names]
0 = "refused"
"""


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "signature.toml"
    path.write_text(text)
    return read_signature_file(path)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "signature.toml"
    path.write_text(WHOLE)
    found = read_signature_file(path)
    age, area = found.columns
    assert (age.name, age.alias, age.datatype) == ("age at start", "age", Datatype.INT64)
    assert (age.nullable, age.minimum, age.maximum) == (True, 18.0, 99.5)
    assert (area.categories, area.closed, area.minimum) == (("Rural", "Urban"), True, None)
    assert (found.label_names, found.description) == ({"0": "refused"}, "Loans")


def test_tensors(tmp_path: Path) -> None:
    path = tmp_path / "signature.toml"
    path.write_text('[[tensors]]\nname = "image"\ndatatype = "FP32"\nshape = [-1, 28, 28]\n')
    (tensor,) = read_signature_file(path).tensors
    assert (tensor.name, tensor.shape) == ("image", (-1, 28, 28))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colums = []", "colums"),
        ('[[columns]]\nname = "a"\nkind = "int"', "kind"),
        ('[[columns]]\nname = "a"\ndatatype = "INT"', "INT"),
        ('[[columns]]\nname = "a"\nminimum = "0"', "minimum"),
        ('[[columns]]\ndatatype = "FP64"', "name"),
        ('[[tensors]]\nname = "a"\ndatatype = "FP64"\nshape = [1]\ncolour = 1', "colour"),
        ("[[columns", "signature.toml"),
        ('[[columns]]\nname = "a"\nalias = "a/b c?"', "alias 'a/b c\\?'"),
        ('[[columns]]\nname = "a"\nalias = ""', "alias ''"),
        ('[[columns]]\nname = "a"\nmissing_ratio = 7', "missing_ratio 7"),
        ('[[columns]]\nname = "a"\nminimum = inf', "minimum inf"),
        ('[[columns]]\nname = "a"\nmaximum = nan', "maximum nan"),
    ],
)
def test_what_is_not_known_is_an_error(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSignature, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        read_signature_file(tmp_path / "signature.toml")
