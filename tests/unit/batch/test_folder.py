from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from modelway.batch.folder import PartsFolder, published_new, temporary
from modelway.batch.manifest import Manifest, Options, Over
from modelway.batch.parts import Done
from modelway.domain.errors import Conflict, InvalidInput, LoadFailed, TargetExists

OVER = Over(Done(5, 1), Manifest("1", "sha256:00", Options("csv", None, None, 1, strict=False), ()))


def test_a_part_is_done_with_its_rows_and_errors(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        assert folder.done(3) is None
        assert not folder.has_done()
        rows, errors = folder.begun(3)
        rows.write_bytes(b"1\n")
        errors.write_bytes(b"{}\n")
        folder.finish(3, Done(1, 1), has_rows=True)
        assert folder.done(3) == Done(1, 1)
        assert folder.has_done()
        assert folder.rows_of(3).read_bytes() == b"1\n"
        assert folder.errors_of(3).read_bytes() == b"{}\n"
        assert not list(folder.path.glob("*.tmp"))


def test_what_was_being_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        temporary(folder.rows_of(0)).write_bytes(b"half")
        whole, errors = folder.begun(1)
        whole.write_bytes(b"1\n")
        errors.touch()
        folder.finish(1, Done(1, 0), has_rows=True)
        folder.clean()
        assert sorted(one.name for one in folder.path.iterdir()) == [
            "00000001.json",
            "00000001.rows",
        ]


def test_a_part_that_is_done_has_no_errors_of_when_it_was_left(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        rows, errors = folder.begun(2)
        rows.write_bytes(b"1\n")
        errors.write_bytes(b"{}\n")
        folder.leave(2)
        assert not rows.exists()
        assert folder.errors_of(2).read_bytes() == b"{}\n"
        assert not folder.has_done()
        errors.touch()
        folder.finish(2, Done(1, 0), has_rows=False)
        assert [one.name for one in folder.path.iterdir()] == ["00000002.json"]


def test_one_process_has_the_folder_at_a_time(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with (
        folder.held(),
        pytest.raises(Conflict, match="another process"),
        PartsFolder(folder.output).held(),
    ):
        pass
    with PartsFolder(folder.output).held():
        pass


def test_the_folder_goes_with_what_is_in_it(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        folder.rows_of(0).write_bytes(b"")
        assert folder.over() is None
        folder.remove(OVER)
    assert not folder.path.exists()


def test_of_a_folder_whose_removal_was_ended_it_is_known_what_became_of_all(
    tmp_path: Path,
) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        (folder.path / "finished.json").write_bytes(msgspec.json.encode(OVER))
        assert folder.over() == OVER
        assert folder.has_done()
        (folder.path / "finished.json").write_bytes(b"{}")
        with pytest.raises(LoadFailed, match=r"finished\.json cannot be read"):
            folder.over()


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="cannot be made"),
        PartsFolder(tmp_path / "no" / "o").held(),
    ):
        pass


def test_a_new_file_replaces_nothing_but_itself(tmp_path: Path) -> None:
    part, path = tmp_path / "part", tmp_path / "out.csv"
    part.write_bytes(b"1\n")
    published_new(part, path)
    published_new(part, path)
    assert path.read_bytes() == b"1\n"
    part.unlink()  # as a run does that goes on after a kill, and makes it again
    part.write_bytes(b"1\n")
    published_new(part, path)
    path.unlink()
    path.write_bytes(b"2\n")
    with pytest.raises(TargetExists, match="was not there when this began"):
        published_new(part, path)
    assert path.read_bytes() == b"2\n"


def test_a_folder_in_which_nothing_was_kept_goes_when_it_is_given_up(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.csv")
    with folder.held():
        assert folder.is_empty()
        assert not folder.is_begun()
    assert not folder.path.exists()
    with folder.held():
        folder.begin(OVER.manifest)
    assert folder.is_begun()
    assert not folder.is_empty()
