"""What holds of every part of the control store: its values, how it is opened, what it says."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import inspect, make_url

from modelway.access.keys import Act
from modelway.backends.sql.connecting import database_of
from modelway.backends.sql.endpoints import SqlEndpointStore
from modelway.backends.sql.generation import advance, changing, counted
from modelway.backends.sql.migrating import FOLDER, alembic_config
from modelway.backends.sql.revisions import KNOWN
from modelway.backends.sql.store import Store, open_store
from modelway.backends.sql.tables import METADATA, REVISION_TABLE
from modelway.domain.errors import (
    BadValue,
    HomeTooNew,
    InvalidInput,
    StoreUnavailable,
)
from modelway.registry.promotions import Decision
from support.ending import together
from support.moves import NOON, key, label, move, proposal, revision
from support.stores import (
    KINDS,
    SERVERS,
    cut_connections,
    processes_at_once,
    rows_of,
)

LONG = "ü" * 255


class TestValues:
    def test_names_have_up_to_255_characters(self, store: Store) -> None:
        store.ledger.append(move(1, LONG, model=LONG, alias=LONG))
        assert store.ledger.current(LONG) == [move(1, LONG, model=LONG, alias=LONG)]
        store.labels.add([label(id=LONG, source=LONG)])
        assert store.labels.of([LONG]) == [label(id=LONG, source=LONG)]
        with pytest.raises(InvalidInput, match="model: expected at most 255 characters, got 256"):
            store.ledger.append(move(1, model=f"{LONG}x"))
        with pytest.raises(InvalidInput, match="prediction_id: expected at most 255"):
            store.labels.add([label(id=f"{LONG}x")])

    def test_names_are_compared_by_their_code_points(self, store: Store) -> None:
        names = ["loan", "LOAN", "loan ", " loan", "löan", "lo\u0308an", "loań", "ﬂoan", ""]
        for name in names:
            store.endpoints.append(revision(1, name))
        assert [one.name for one in store.endpoints.current()] == sorted(names)
        for name in names:
            assert store.endpoints.find(name) == revision(1, name)

    @pytest.mark.parametrize("text", ["a\x00b", "\ud800", 7])
    def test_text_that_not_every_database_holds_is_refused_by_name(
        self, store: Store, text: Any
    ) -> None:
        before = store.generation.now()
        with pytest.raises(InvalidInput, match="why: expected text"):
            store.ledger.append(move(1, why=text))
        with pytest.raises(InvalidInput, match="reason: expected text"):
            store.links.link("loan", "7", None, text)
        with pytest.raises(InvalidInput, match="actor: expected text"):
            store.proposals.add(replace(proposal(), actor=text))
        store.proposals.add(proposal())
        with pytest.raises(InvalidInput, match="decided_by: expected text"):
            store.proposals.decide("p1", Decision.DECLINED, text)
        assert store.generation.now() == before

    def test_long_texts_come_back_and_longer_ones_are_refused(self, store: Store) -> None:
        longest = "🚀" * 1_000_000
        store.audit.append(Act("ann", "act", "loan", "done", longest, NOON))
        assert store.audit.acts(1)[0].detail == longest
        with pytest.raises(InvalidInput, match="detail: expected at most 1000000 characters"):
            store.audit.append(Act("ann", "act", "loan", "done", f"{longest}x", NOON))

    def test_times_are_microseconds_of_utc_and_come_back_in_it(
        self, store: Store, url: str
    ) -> None:
        india = timezone(timedelta(hours=5, minutes=30))
        times = [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            NOON.astimezone(india),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ]
        for n, at in enumerate(times):
            store.keys.add(key(f"k{n}", at=at))
        found = [one.created_at for one in store.keys.all()]
        assert found == times
        assert {one.tzinfo for one in found} == {UTC}
        (noon,) = rows_of(url, "SELECT created_at FROM modelway_keys WHERE id = 'k2'")
        assert noon == (1_772_366_400_123_456,)

    def test_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        naive = NOON.replace(tzinfo=None)
        with pytest.raises(InvalidInput, match="expected a time with its zone, got none"):
            store.keys.add(key(at=naive))
        with pytest.raises(InvalidInput, match="expected a time with its zone"):
            store.audit.acts(1, before=naive)
        assert store.keys.all() == []

    def test_what_cannot_be_there_is_not_found(self, store: Store) -> None:
        assert store.endpoints.find("x" * 100_000) is None
        assert store.labels.of(["x" * 100_000]) == []


class TestOpening:
    def test_an_empty_database_gets_its_tables_once_however_many_open_it(self, empty: str) -> None:
        script = """
import sys
from modelway.backends.sql.store import open_store
import modelway.backends.sql.migrating
print("ready", flush=True)
sys.stdin.readline()
store = open_store(sys.argv[1])
print(store.generation.now())
"""
        assert processes_at_once(script, [(empty,)] * 3) == ["0\n"] * 3
        assert rows_of(empty, f"SELECT version_num FROM {REVISION_TABLE}") == [(KNOWN[-1],)]
        (counted, identity, labels) = rows_of(
            empty, "SELECT name, value FROM modelway_counters ORDER BY name"
        )
        assert (counted, labels) == (("generation", 0), ("labels", 0))
        assert identity[0] == "identity"

    def test_threads_that_open_an_empty_database_wait_for_each_other(self, empty: str) -> None:
        begin, numbers = threading.Barrier(4, timeout=30), []

        def opener() -> None:
            begin.wait()
            with open_store(empty) as store:
                numbers.append(store.generation.now())

        together(*[opener] * 4)
        assert numbers == [0] * 4

    def test_the_migrations_make_the_tables_that_are_used(self, empty: str) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        open_store(empty).close()
        with (
            closing(database_of(empty, durable=False)) as database,
            database.reading() as connection,
        ):
            options = {"version_table": REVISION_TABLE, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, METADATA) == []

    def test_a_migration_that_died_midway_is_taken_up(self, empty: str) -> None:
        open_store(empty).close()
        rows_of(empty, f"DELETE FROM {REVISION_TABLE}")
        rows_of(empty, "DELETE FROM modelway_counters WHERE name = 'labels'")
        rows_of(empty, "DROP TABLE modelway_labels")
        on = " ON modelway_acts" if empty.startswith("mariadb") else ""
        rows_of(empty, f"DROP INDEX modelway_acts_at{on}")
        with open_store(empty) as store:
            store.labels.add([label()])
            assert list(store.labels.since(NOON)) == [label()]
        with (
            closing(database_of(empty, durable=False)) as database,
            database.reading() as connection,
        ):
            indexes = [one["name"] for one in inspect(connection).get_indexes("modelway_acts")]
        assert "modelway_acts_at" in indexes

    @pytest.mark.parametrize("kind", KINDS[:1], indirect=True, scope="module")
    def test_a_file_is_copied_before_it_is_migrated_and_stays_as_it_was_where_it_cannot_be(
        self, empty: str
    ) -> None:
        older, path = KNOWN[-2], Path(str(make_url(empty).database))
        backups = path.parent / "backups"
        with closing(database_of(empty, durable=False)) as database:
            with database.writing() as connection:
                command.upgrade(alembic_config(connection), older)
            SqlEndpointStore(database).append(revision(1))
            backups.write_text("in the way")
            with pytest.raises(StoreUnavailable, match="and cannot be copied to "):
                open_store(empty)
            assert rows_of(empty, f"SELECT version_num FROM {REVISION_TABLE}") == [(older,)]
            backups.unlink()
            with open_store(empty) as store, open_store(empty):
                assert store.endpoints.current() == [revision(1)]
        (copy,) = backups.iterdir()
        assert copy.name.startswith(f"{path.stem}-{older}-")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        kept = f"sqlite:///{copy}"
        assert rows_of(kept, f"SELECT version_num FROM {REVISION_TABLE}") == [(older,)]
        assert rows_of(kept, "SELECT why FROM modelway_endpoint_revisions") == [("change 1",)]

    def test_a_newer_store_is_refused_and_both_revisions_are_named(self, empty: str) -> None:
        open_store(empty).close()
        rows_of(empty, f"UPDATE {REVISION_TABLE} SET version_num = '9999'")
        with pytest.raises(HomeTooNew, match=f"is of revision 9999, .* up to {KNOWN[-1]}"):
            open_store(empty)

    def test_it_goes_on_while_a_newer_version_has_migrated_the_store(self, empty: str) -> None:
        with open_store(empty) as store:
            rows_of(empty, f"UPDATE {REVISION_TABLE} SET version_num = '9999'")
            rows_of(empty, "ALTER TABLE modelway_promotions ADD COLUMN ticket VARCHAR(20)")
            rows_of(empty, "CREATE TABLE modelway_later (id INTEGER PRIMARY KEY)")
            store.ledger.append(move(1))
            assert store.ledger.history("loan") == [move(1)]

    def test_a_second_open_finds_everything_and_does_without_alembic(self, empty: str) -> None:
        with open_store(empty) as store:
            store.ledger.append(move(1))
            before = store.generation.now()
        script = """
import sys
from modelway.backends.sql.store import open_store
store = open_store(sys.argv[1])
print(store.generation.now(), len(store.ledger.history("loan")), "alembic" in sys.modules)
"""
        done = subprocess.run(
            [sys.executable, "-c", script, empty], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{before} 1 False\n"

    @pytest.mark.parametrize("kind", SERVERS[1:], indirect=True, scope="module")
    def test_mysql_names_the_same_store_as_mariadb(self, empty: str) -> None:
        with open_store(empty) as store:
            store.ledger.append(move(1))
        with open_store(f"mysql{empty.removeprefix('mariadb')}") as store:
            assert store.ledger.history("loan") == [move(1)]

    def test_other_tables_of_the_database_are_left_alone(self, empty: str) -> None:
        rows_of(empty, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
        rows_of(empty, "INSERT INTO alembic_version VALUES ('mlflow')")
        rows_of(empty, "CREATE TABLE model_versions (name VARCHAR(32))")
        open_store(empty).close()
        assert [tuple(row) for row in rows_of(empty, "SELECT * FROM alembic_version")] == [
            ("mlflow",)
        ]


class TestTrouble:
    def test_a_server_that_is_not_there_is_told_without_the_password(
        self, kind: str, free_port: int, tmp_path: Path
    ) -> None:
        url = f"{kind}://ann:hunter2@127.0.0.1:{free_port}/test"
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path}/nowhere/store.sqlite"
        with pytest.raises(StoreUnavailable, match="the control store") as told:
            open_store(url)
        assert told.value.__cause__ is not None
        assert "hunter2" not in f"{told.value} {told.value.__cause__}"
        assert ("nowhere" if kind == "sqlite" else str(free_port)) in told.value.message

    @pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
    def test_one_opened_patiently_is_migrated_once_it_is_there(
        self, kind: str, module_url: str
    ) -> None:
        later = f"{make_url(module_url).database}_later"
        url = make_url(module_url).set(database=later).render_as_string(hide_password=False)
        with open_store(url, patient=True) as store:
            assert store.unreached is not None
            with pytest.raises(StoreUnavailable, match=later):
                store.generation.now()
            rows_of(module_url, f"CREATE DATABASE {later}")
            try:
                together(*[store.generation.now] * 8)
                store.ledger.append(move(1))
                with open_store(url) as other:
                    assert other.unreached is None
                    assert len(other.ledger.history("loan")) == 1
            finally:
                store.close()
                rows_of(module_url, f"DROP DATABASE {later}")

    @pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
    def test_a_refused_password_is_not_repeated(self, module_url: str) -> None:
        url = make_url(module_url).set(username="nobody", password="hunter2")
        with pytest.raises(StoreUnavailable, match="nobody") as told:
            open_store(url.render_as_string(hide_password=False))
        assert "hunter2" not in f"{told.value!r} {told.value.__cause__!r}"

    @pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
    def test_a_broken_connection_is_replaced(self, store: Store, url: str) -> None:
        store.ledger.append(move(1))
        for number in range(2, 5):
            assert cut_connections(url) >= 1
            store.ledger.append(move(number))
            assert cut_connections(url) >= 1
            assert len(store.ledger.history("loan")) == number

    @pytest.mark.parametrize("kind", SERVERS, indirect=True, scope="module")
    def test_a_connection_cut_during_a_change_loses_that_one_call(
        self, store: Store, url: str
    ) -> None:
        database = database_of(url, durable=False)
        before = store.generation.now()
        with pytest.raises(StoreUnavailable), changing(database) as (connection, _):
            cut_connections(url)
            advance(connection, "generation")
        assert store.generation.now() == before
        with database.reading() as connection:
            assert counted(connection, "generation") == before
        database.close()

    def test_every_call_says_that_the_store_is_gone(self, empty: str) -> None:
        with open_store(empty) as store:
            for table in METADATA.sorted_tables:
                rows_of(empty, f"DROP TABLE {table.name}")
            calls: list[Callable[[], object]] = [
                lambda: store.ledger.append(move(1)),
                store.ledger.current,
                lambda: store.proposals.add(proposal()),
                store.proposals.all,
                lambda: store.links.link("loan", "7", "d", None),
                lambda: store.endpoints.append(revision(1)),
                store.endpoints.current,
                store.generation.now,
                lambda: store.keys.add(key()),
                lambda: store.keys.used({"k": NOON}),
                lambda: store.audit.acts(1),
                lambda: store.labels.add([label()]),
                lambda: list(store.labels.since(NOON)),
            ]
            for call in calls:
                with pytest.raises(StoreUnavailable, match="modelway_"):
                    call()

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("oracle://h/db", "of the kind 'oracle'"),
            ("mysql+mysqldb://h/db", r"of the kind 'mysql\+mysqldb'"),
            ("/a/path", "cannot be read"),
            ("", "cannot be read"),
            ("postgresql://ann:hunter2@h:port/db", "cannot be read"),
            ("postgresql://ann:hunter2@h", "names no database"),
            ("mariadb://h/", "names no database"),
            ("sqlite://", "names no file"),
            ("sqlite:///:memory:", "names no file"),
            ("sqlite:///x.db?mode=ro", "no parameters"),
        ],
    )
    def test_a_url_of_no_store_is_refused(self, url: str, told: str) -> None:
        with pytest.raises(BadValue, match=f"{told}.*expected sqlite:///PATH") as refused:
            open_store(url)
        assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"


class TestSqlite:
    def test_the_files_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "store.sqlite"
        with open_store(f"sqlite:///{path}") as store:
            store.ledger.append(move(1))
            modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        assert modes == dict.fromkeys(
            ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"), 0o600
        )

    @pytest.mark.parametrize(("durable", "synchronous"), [(False, 1), (True, 2)])
    def test_it_is_written_ahead_and_as_durable_as_asked(
        self, tmp_path: Path, durable: bool, synchronous: int
    ) -> None:
        database = database_of(f"sqlite:///{tmp_path / 'store.sqlite'}", durable=durable)
        with database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        database.close()

    def test_readers_do_not_wait_for_a_writer(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'store.sqlite'}"
        database = database_of(url, durable=False)
        with open_store(url) as store, changing(database):
            began = time.perf_counter()
            assert store.generation.now() == 0
            assert time.perf_counter() - began < 10
        database.close()

    def test_opening_it_again_in_one_process_takes_no_lock_away(self, tmp_path: Path) -> None:
        path, log = tmp_path / "store.sqlite", tmp_path / "store.sqlite-wal"
        script = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT * FROM modelway_counters").fetchall()
connection.close()
"""
        with open_store(f"sqlite:///{path}") as store:
            store.ledger.append(move(1))
            before = log.stat().st_ino
            open_store(f"sqlite:///{path}").close()
            # Whoever closes a database that nobody else has locked removes its log.
            subprocess.run([sys.executable, "-c", script, str(path)], check=True)
            assert log.stat().st_ino == before
        assert [one.name for one in tmp_path.iterdir()] == ["store.sqlite"]

    def test_what_is_no_database_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "store.sqlite"
        path.write_text("this is a letter, not a database" * 100)
        with pytest.raises(StoreUnavailable, match="file is not a database"):
            open_store(f"sqlite:///{path}")
        assert path.read_text().startswith("this is a letter")

    def test_the_revisions_known_are_those_that_there_are(self) -> None:
        files = sorted((FOLDER / "versions").glob("r*.py"))
        there = [re.search(r'^revision = "(.+)"$', one.read_text(), re.MULTILINE) for one in files]
        assert [one and one[1] for one in there] == list(KNOWN)
