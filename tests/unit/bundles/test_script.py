"""What of a training script is run for one of its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelway.bundles.script import Script
from modelway.domain.errors import LoadFailed


def script(folder: Path, text: str) -> Script:
    path = folder / "train.py"
    path.write_text(text)
    return Script(path)


MODEL = """
class Model:
    def predict(self, x):
        return TABLE.get(x)
"""


@pytest.mark.parametrize(
    "filling",
    [
        "TABLE = {}\nfor i, w in enumerate('abc'):\n    TABLE[w] = i * 10",
        "TABLE = {}\nTABLE['c'] = 20",
        "TABLE = {}\nTABLE.update(c=20)",
        "TABLE = {'c': 1}\nTABLE |= {'c': 20}",
        "TABLE = {}\nTABLE.setdefault('c', 20)",
        "TABLE = {}\nwhile not TABLE:\n    TABLE['c'] = 20",
        "TABLE = {}\nwith open(__file__) as text:\n    TABLE['c'] = 20",
        "TABLE = {}\nif True:\n    for one in (TABLE,):\n        one['c'] = 20",
        "TABLE = {}\ndef fill():\n    TABLE['c'] = 20\nfill()",
        "TABLE = {}\ndef fill():\n    deep()\ndef deep():\n    TABLE['c'] = 20\nfill()",
        "TABLE = {}\ndef fill(one):\n    one['c'] = 20\nfill(TABLE)",
        "TABLE = {}\ndef kept(f):\n    TABLE[f.__name__] = f()\n@kept\ndef c():\n    return 20",
        "def fill():\n    global TABLE\n    TABLE = {'c': 20}\nTABLE = {}\nfill()",
    ],
)
def test_what_fills_a_table_is_run(filling: str, tmp_path: Path) -> None:
    for text in (filling + MODEL, MODEL + filling):
        assert script(tmp_path, text).value("Model")().predict("c") == 20


def test_what_changes_a_class_is_run(tmp_path: Path) -> None:
    text = (
        "class Model:\n    pass\nModel.table = {}\nModel.table['a'] = 1\nsetattr(Model, 'b', 2)\n"
    )
    text += (
        "class Other:\n    @classmethod\n    def load(cls):\n        cls.ready = True\nOther.load()"
    )
    found = script(tmp_path, text)
    assert (found.value("Model").table, found.value("Model").b) == ({"a": 1}, 2)
    assert found.value("Other").ready


def test_one_class_is_one_whoever_asks(tmp_path: Path) -> None:
    text = "class Base:\n    pass\nclass One(Base):\n    pass\nclass Two(Base):\n    pass\n"
    found = script(tmp_path, text)
    one, two, base = (found.value(name) for name in ("One", "Two", "Base"))
    assert issubclass(one, base)
    assert issubclass(two, base)
    assert found.value("One") is one


TRAINING = """
import json, sys
X = rows_that_are_not_here()
FEATURES = ["a"]
table = {}
class Model:
    def fit(self, X, y=None):
        table = FEATURES
        return self
    def predict(self, X):
        return [FEATURES for x in X]
def main():
    return X
model = Model().fit(X[FEATURES])
for depth in range(3):
    other = Model().fit(X)
with open("/nowhere/m.json", "w") as stream:
    json.dump({"model": model, "features": FEATURES}, stream)
print(FEATURES, model)
main()
sys.exit("trained again")
if __name__ == "__main__":
    FEATURES.append(main())
"""


def test_what_only_uses_a_class_is_not_run(tmp_path: Path) -> None:
    model: Any = script(tmp_path, TRAINING).value("Model")()
    assert model.fit(None).predict([1]) == [["a"]]


def test_what_cannot_be_run_is_said_with_its_line(tmp_path: Path) -> None:
    found = script(tmp_path, "LIMIT = open('/nowhere/limit').read()\nclass Model:\n    x = LIMIT\n")
    with pytest.raises(LoadFailed, match=r"line 1 of train\.py.*FileNotFoundError") as caught:
        found.value("Model")
    assert "__main__" in str(caught.value.hint)
