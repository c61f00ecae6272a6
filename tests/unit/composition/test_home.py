"""The home: its format, its backup, who runs in it, its secrets."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelway.composition.home import FORMAT, Home, Running
from modelway.domain.errors import BadValue, Conflict, HomeTooNew


def test_a_new_home_has_the_format_of_now_and_no_backup(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    assert json.loads((home.path / "home.json").read_text()) == {"format": FORMAT}
    assert not (home.path / "backups").exists()
    Home(home.path)


def test_a_home_of_a_newer_version_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    mark = tmp_path / "home.json"
    mark.write_text('{"format": 99}')
    with pytest.raises(HomeTooNew, match="format 99; this version knows up to"):
        Home(tmp_path)
    assert mark.read_text() == '{"format": 99}'


def test_a_home_from_before_is_marked_after_its_control_files_were_copied(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("mine\n")
    with sqlite3.connect(tmp_path / "control.db") as store:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("CREATE TABLE kept (value)")
        store.execute("INSERT INTO kept VALUES (42)")
    store.commit()
    Home(tmp_path)  # with the store open, and its last change in the log beside it
    store.close()
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.name.startswith("format-0-")
    assert (backup / "admin.key").read_text() == "mine\n"
    with sqlite3.connect(backup / "control.db") as copy:
        assert copy.execute("SELECT value FROM kept").fetchall() == [(42,)]
    copy.close()
    assert json.loads((tmp_path / "home.json").read_text()) == {"format": FORMAT}


@pytest.mark.parametrize("content", ["", "nonsense", '{"format": "one"}'])
def test_a_mark_that_cannot_be_read_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "home.json").write_text(content)
    with pytest.raises(BadValue, match=r"home\.json cannot be read"):
        Home(tmp_path)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue, match="cannot be written"):
        Home(tmp_path / "file" / "home")


def test_one_up_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    running = Running(os.getpid(), datetime.now(UTC), "http://here", "http://there", "")
    with home.taken():
        home.announce(running)
        with pytest.raises(Conflict, match=rf"already at http://here, process {os.getpid()}"):
            Home(tmp_path).taken().__enter__()
    with home.taken():
        home.leave()
    assert home.running() is None


def test_what_was_killed_does_not_run(tmp_path: Path) -> None:
    home = Home(tmp_path)
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    home.announce(Running(gone, datetime.now(UTC), "a", "b", ""))
    assert home.running() is None
    home.announce(Running(os.getpid(), datetime.now(UTC), "a", "b", ""))
    assert home.running() is not None


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    secret = home.secret("records.key")
    assert len(secret) == 32
    assert Home(tmp_path).secret("records.key") == secret
    assert home.secret("other.key") != secret
    assert stat.S_IMODE((tmp_path / "records.key").stat().st_mode) == 0o600
