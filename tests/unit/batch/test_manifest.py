from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from modelway.batch.manifest import (
    Fingerprint,
    Manifest,
    Options,
    check_same,
    check_unchanged,
    decoded,
    encoded,
    fingerprint,
)
from modelway.batch.parts import Part, Span
from modelway.domain.errors import Conflict, LoadFailed, ResumeMismatch

OUTPUT = Path("scored.csv")
OPTIONS = Options("csv", "id", ("id", "age"), 100, strict=False)
MANIFEST = Manifest(
    *("1.0", "sha256:aa", OPTIONS, (Fingerprint("rows.csv", 10, 5, "e"),)),
    parts=(Part(0, 0, Span(0, 10, 1, 2, 2)),),
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert decoded(encoded(MANIFEST), OUTPUT) == MANIFEST


@pytest.mark.parametrize("text", [b"{", b"{}"])
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(LoadFailed, match=r"scored\.csv"):
        decoded(text, OUTPUT)


def test_a_newer_format_is_refused() -> None:
    newer = encoded(msgspec.structs.replace(MANIFEST, format=99))
    with pytest.raises(LoadFailed, match="format 99"):
        decoded(newer, OUTPUT)


def test_the_same_run_goes_on() -> None:
    check_same(MANIFEST, msgspec.structs.replace(MANIFEST, parts=()), OUTPUT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "sha256:bb"}, "the model was sha256:aa and is sha256:bb"),
        ({"made_by": "1.1"}, "Modelway was 1.0 and is 1.1"),
        (
            {"options": Options("csv", "id", ("id",), 100, strict=False)},
            "columns was id, age and is id",
        ),
        (
            {"options": Options("csv", "id", ("id", "age"), 7, strict=True)},
            "batch_rows was 100 and is 7; strict was False and is True",
        ),
        ({"inputs": (Fingerprint("rows.csv", 10, 6, "e"),)}, "input rows.csv has changed"),
        ({"pyarrow": "25.0"}, "pyarrow was not used and is 25.0"),
        ({"inputs": ()}, "input rows.csv is not there any more"),
    ],
)
def test_a_run_of_something_else_is_refused_by_name(changed: dict[str, object], said: str) -> None:
    wanted = msgspec.structs.replace(MANIFEST, **changed)
    with pytest.raises(ResumeMismatch) as refused:
        check_same(MANIFEST, wanted, OUTPUT)
    assert said in refused.value.message
    assert "scored.csv.parts" in (refused.value.hint or "")


def test_a_file_is_known_by_its_time_and_by_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a" * 3_000_000)
    os.utime(path, ns=(1, 1))
    first = fingerprint(path)
    assert fingerprint(path) == first
    os.utime(path, ns=(1, 2))
    assert fingerprint(path) != first
    path.write_bytes(b"a" * 2_999_999 + b"b")
    os.utime(path, ns=(1, 1))
    assert fingerprint(path) != first


def test_a_file_that_was_written_to_is_not_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a")
    known = fingerprint(path)
    check_unchanged(known)
    path.write_bytes(b"ab")
    with pytest.raises(Conflict, match="it was written to"):
        check_unchanged(known)
    path.unlink()
    with pytest.raises(Conflict, match="it is gone"):
        check_unchanged(known)
