"""The home: its format, its backup, who runs in it, its secrets."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelway.composition.control import Control
from modelway.composition.home import FORMAT, Home, Running
from modelway.domain.errors import BadValue, Conflict, HomeTooNew
from modelway.settings import Settings, load_settings


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


def test_what_was_killed_does_not_run_though_its_process_id_is_that_of_another(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    said = Running(os.getpid(), datetime.now(UTC), "a", "b", "")
    home.announce(said)  # and then it was killed, and this process got its id
    assert home.running() is None
    with home.taken():
        assert home.running() is None
        assert home.killed() == said
        home.announce(said)
        assert home.running() == said
        assert Home(tmp_path).running() == said
        home.leave()
    with home.taken():
        assert home.killed() is None


def test_who_asks_what_runs_keeps_nobody_from_running(tmp_path: Path) -> None:
    asked, over = Home(tmp_path), threading.Event()

    def ask() -> None:
        while not over.is_set():
            asked.running()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            with Home(tmp_path).taken():
                pass
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    secret = home.secret("records.key")
    assert len(secret) == 32
    assert Home(tmp_path).secret("records.key") == secret
    assert home.secret("other.key") != secret
    assert stat.S_IMODE((tmp_path / "records.key").stat().st_mode) == 0o600


def settings_of(home: Path, **flags: object) -> Settings:
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings({"bundles.home": home, **named}, folder=home, environment={})


def test_what_up_was_started_with_holds_where_nothing_else_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    url = "postgresql://ann:hunter2@db/modelway"
    home.remember(settings_of(tmp_path, store__url=url))
    assert stat.S_IMODE((tmp_path / "settings.json").stat().st_mode) == 0o600
    found = home.settled(settings_of(tmp_path))
    assert (found.store.url, found.registry.url) == (url, "")
    assert found.origins["store.url"] == str(tmp_path / "settings.json")
    assert home.settled(found) == found
    other = home.settled(settings_of(tmp_path, store__url="mariadb://db/other"))
    assert other.store.url == "mariadb://db/other"
    home.remember(settings_of(tmp_path, store__url=""))
    assert home.settled(settings_of(tmp_path)).store.url == ""


def test_what_up_protects_and_trusts_holds_for_later_commands(tmp_path: Path) -> None:
    home = Home(tmp_path)
    trusted = "http://one:1,http://two"
    started = {"registry__protected": "champion, prod", "registry__trusted": trusted}
    home.remember(settings_of(tmp_path, **started))
    found = home.settled(settings_of(tmp_path)).registry
    assert found.protected_aliases == {"champion", "prod"}
    assert found.trusted_urls == {"http://one:1", "http://two"}
    own = settings_of(tmp_path, registry__protected="mine", registry__trusted="http://three")
    with Control(own) as control:
        assert control.protected == {"champion", "prod", "mine"}
        assert control.settings.registry.trusted_urls == {"http://three"}
    home.remember(settings_of(tmp_path, registry__protected="prod"))
    with Control(settings_of(tmp_path, registry__protected="")) as control:
        assert control.protected == {"prod"}


def test_a_file_of_sqlite_is_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.chdir(tmp_path)
    home.remember(settings_of(tmp_path, store__url="sqlite:///other.db"))
    assert home.settled(settings_of(tmp_path)).store.url == f"sqlite:///{tmp_path}/other.db"


def test_what_says_otherwise_is_told_while_up_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(tmp_path)
    home.remember(settings_of(tmp_path, store__url="postgresql://ann:hunter2@db/modelway"))
    other = settings_of(tmp_path, store__url="postgresql://ann:hunter3@db/other")
    home.settled(other)
    assert not caplog.records
    with home.taken():
        home.announce(Running(os.getpid(), datetime.now(UTC), "a", "b", ""))
        home.settled(settings_of(tmp_path))
        assert not caplog.records
        home.settled(other)
    (told,) = caplog.records
    assert "store.url (flag --url): not what modelway up was started with" in told.getMessage()
    assert "hunter" not in told.getMessage()


def test_what_cannot_be_read_is_said_and_nothing_else_is_opened(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "settings.json").write_text("nonsense")
    with pytest.raises(BadValue, match=r"settings\.json cannot be read"):
        home.settled(settings_of(tmp_path))
