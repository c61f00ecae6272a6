"""The user's own code in a bundle, and what a pickle finds of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.bundles import code
from modelway.bundles.code import code_sha256, copy_code, offer_code
from modelway.domain.errors import InvalidSource, LoadFailed, SourceNotFound


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no path, module or name behind."""
    main = sys.modules["__main__"]
    before = dict(vars(main))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(code, "_offered", [])
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    vars(main).clear()
    vars(main).update(before)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


PROJECT = (
    *("train.py", "prices.json", "model.pickle", "rows.csv", "server.key", ".env"),
    *("scoring/__init__.py", "scoring/data/table.csv", "scoring/__pycache__/a.pyc"),
    *("lib/deep/tool.py", "lib/deep/tool.toml", "lib/readme.md", "secrets/id", ".git/config"),
    *("venv/pyvenv.cfg", "venv/lib/a.py", "old/manifest.json", "old/code/a.py"),
    *("logged/MLmodel", "logged/code/a.py"),
)


def test_of_a_project_its_code_is_taken_and_no_more(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in PROJECT:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    given = (source / "model.pickle", source / "rows.csv", source / "train.py", None)
    copy_code(source, tmp_path / "copy", leave_out=given)
    assert files(tmp_path / "copy") == [
        *("lib/deep/tool.py", "lib/deep/tool.toml", "prices.json"),
        *("scoring/__init__.py", "scoring/data/table.csv", "train.py"),
    ]
    before = code_sha256(source, leave_out=given)
    for name in (".git/config", "model.pickle", "venv/lib/a.py"):
        (source / name).write_text("other")
    assert code_sha256(source, leave_out=given) == before
    (source / "train.py").write_text("other")
    assert code_sha256(source, leave_out=given) != before


def test_a_link_out_of_the_code_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "secret.py").write_text("")
    (source / "a.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(InvalidSource, match="leads out"):
        copy_code(source, tmp_path / "copy")


def test_a_package_keeps_its_name_and_a_file_is_itself(tmp_path: Path) -> None:
    package = tmp_path / "scoring"
    package.mkdir()
    (package / "__init__.py").write_text("")
    copy_code(package, tmp_path / "one")
    assert files(tmp_path / "one") == ["scoring/__init__.py"]
    copy_code(package / "__init__.py", tmp_path / "other")
    assert files(tmp_path / "other") == ["__init__.py"]
    with pytest.raises(SourceNotFound):
        copy_code(tmp_path / "none", tmp_path / "third")


SCRIPT = """
from __future__ import annotations
import math
from json import loads as parse
try:
    import nothing_of_this_name as fast
except ImportError:
    fast = None
LIMIT = parse("7")
LIMIT = LIMIT + 1
WITHIN = {"a": LIMIT}

class Base:
    pass

def cut(x):
    return min(x, WITHIN["a"], math.inf)

class Model(Base):
    quick = fast
    def predict(self, x: Unknown) -> int:
        return cut(x)

if __name__ == "__main__":
    raise SystemExit("trained again")
trained = open("/nowhere/rows.csv")
"""


def test_of_a_script_only_what_a_name_needs_is_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    offer_code(tmp_path)
    main = sys.modules["__main__"]
    model = main.Model()
    assert model.predict(100) == 8
    assert type(model).__module__ == "__main__"
    assert type(model).__mro__[1].__name__ == "Base"
    assert main.Model is type(model)
    with pytest.raises(AttributeError, match="Missing"):
        _ = main.Missing


def test_two_bundles_with_modules_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "features_of_mine.py").write_text(f"NAME = {name!r}\n")
    offer_code(tmp_path / "one")
    offer_code(tmp_path / "one")
    __import__("features_of_mine")
    with pytest.raises(LoadFailed, match="two bundles bring a module called 'features_of_mine'"):
        offer_code(tmp_path / "two")
