"""What tables promise to bulk scoring: any split gives the same rows, and an id is there once."""

from __future__ import annotations

import datetime
import decimal
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from modelway.backends.table_place import TablePlace
from modelway.backends.table_reading import TableReader, TableSplitter, table_fingerprint
from modelway.backends.table_types import TIME_WITH_ZONE, of_table
from modelway.backends.table_writing import TableWriter, made, replaced
from modelway.batch.parts import PartSize
from modelway.composition.batch_formats import writer_of
from modelway.composition.batch_types import table_kind
from modelway.domain.errors import (
    BadValue,
    Conflict,
    InvalidInput,
    SignatureMismatch,
    SourceNotFound,
    StoreUnavailable,
)
from modelway.domain.signature import Column, Datatype, Signature
from modelway.inference.validation import Validator
from support.homes import free_port
from support.scored import rows_of as rows_in
from support.stores import KINDS, empty_database, rows_of

SIGNATURE = Signature(
    columns=(
        Column("amount", "amount", Datatype.FP64, nullable=True),
        Column("is_new", "is_new", Datatype.BOOL),
        Column("50% off", "50% off", Datatype.STRING, nullable=True),
    )
)
KINDS_OF = {"id": int, "amount": float, "is_new": bool, "50% off": str, "seen": datetime.datetime}
TYPES = {name: table_kind(kind) for name, kind in KINDS_OF.items()}
N_ROWS = 250


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    with empty_database(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def place(url: str) -> Iterator[TablePlace]:
    """A table that is not there yet."""
    found = TablePlace(f"{url}?table=things")
    yield found
    found.database.close()


def things(first: int = 0, n: int = N_ROWS) -> dict[str, list[Any]]:
    """Rows by column; the ids have gaps."""
    numbers = range(first, first + n)
    return {
        "id": [k * 3 for k in numbers],
        "amount": [None if k % 7 == 0 else k + 1e-13 for k in numbers],
        "is_new": [k % 2 == 0 for k in numbers],
        "50% off": [f"ö'{k}\t\\" if k % 5 else None for k in numbers],
        "seen": [datetime.datetime(2026, 1, 1, 12, 0, k % 60, 250_000) for k in numbers],
    }


def written(place: TablePlace, *parts: dict[str, list[Any]]) -> None:
    """Write rows, the table being made first."""
    writer = TableWriter(place, made(place, TYPES, "id"), "id")
    for part in parts:
        writer.write(part)
    writer.close()


@pytest.mark.parametrize("size", [1, 37, 250, 131_072])
@pytest.mark.parametrize("batch_rows", [1, 64])
def test_a_reader_gives_the_same_rows_whatever_the_split(
    place: TablePlace, size: int, batch_rows: int
) -> None:
    n_rows = 20 if size * batch_rows == 1 else N_ROWS
    sent = things(n=n_rows)
    written(place, sent)
    spans = list(TableSplitter("id", PartSize(rows=size)).spans(place))
    assert len(spans) == -(-n_rows // size)
    numbers: list[int] = []
    found: dict[str, list[Any]] = {name: [] for name in sent}
    for span in spans:
        for rows in TableReader(None, "id", SIGNATURE).read(place, span, batch_rows):
            assert len(rows.numbers) <= batch_rows
            numbers += rows.numbers
            checked = rows.check(Validator(SIGNATURE, strict=True)).table
            assert checked.n_rows == len(rows.numbers)
            for name, values in rows.kept().items():
                found[name] += list(values)  # type: ignore[arg-type] # no Arrow here
    assert numbers == list(range(1, n_rows + 1))
    assert found["id"] == sent["id"]
    assert found["amount"] == sent["amount"]
    assert found["50% off"] == sent["50% off"]
    assert [bool(one) for one in found["is_new"]] == sent["is_new"]
    assert [datetime.datetime.fromisoformat(str(one)) for one in found["seen"]] == sent["seen"]


def test_a_row_that_is_there_already_is_brought_up_to_date(url: str, place: TablePlace) -> None:
    written(place, things(0, 100))
    later = things(50, 100) | {"amount": [0.5] * 100}
    written(place, later, later)
    halves = "SELECT count(*) FROM things WHERE amount = 0.5"
    assert rows_of(url, "SELECT count(*) FROM things") == [(150,)]
    assert rows_of(url, halves) == [(100,)]
    # Of an id that some rows have twice, the last is the one that stays.
    twice = {name: [values[0], values[0]] for name, values in things(0, 1).items()}
    written(place, twice | {"amount": [1.0, 2.0]})
    assert rows_of(url, "SELECT amount FROM things WHERE id = 0") == [(2.0,)]


def test_a_database_of_which_nothing_is_known_has_an_id_once_too(
    url: str, place: TablePlace
) -> None:
    table = made(place, {"id": sa.BigInteger(), "amount": sa.Double()}, "id")
    for amount in (1.0, 2.0):
        rows = [{"id": k, "amount": amount} for k in range(10)]
        with place.database.writing() as connection:
            replaced(connection, table, "id", rows)
    assert rows_of(url, "SELECT count(*), min(amount) FROM things") == [(10, 2.0)]


def test_rows_that_come_or_go_in_a_part_end_the_run(url: str, place: TablePlace) -> None:
    written(place, things())
    first, second, *_ = TableSplitter("id", PartSize(rows=100)).spans(place)
    reader = TableReader(("id",), "id", SIGNATURE)
    rows_of(url, "DELETE FROM things WHERE id = 30")
    with pytest.raises(Conflict, match="of 100 rows from id 0 to 297 it has 99"):
        list(reader.read(place, first, 64))
    written(place, {name: values * 1 for name, values in things(400, 1).items()})
    assert sum(len(one.numbers) for one in reader.read(place, second, 64)) == 100
    more = "INSERT INTO things SELECT 301, amount, is_new, {0}, seen FROM things WHERE id = 300"
    quoted = "`50% off`" if url.startswith("mariadb") else '"50% off"'
    rows_of(url, more.format(quoted))
    with pytest.raises(Conflict, match="it has 101"):
        list(reader.read(place, second, 64))


def test_ids_of_text_are_told_apart_by_their_case(url: str, place: TablePlace) -> None:
    ids = ["b", "a", "B", "A", "ä"]
    table = made(place, {"id": table_kind(str), "n": table_kind(int)}, "id")
    TableWriter(place, table, "id").write({"id": ids, "n": list(range(5))})
    spans = list(TableSplitter("id", PartSize(rows=2)).spans(place))
    assert [one.n_rows for one in spans] == [2, 2, 1]
    reader = TableReader(None, "id", Signature(columns=SIGNATURE.columns[:1]))
    found = [
        one for span in spans for rows in reader.read(place, span, 1) for one in rows.columns["id"]
    ]
    assert sorted(found) == sorted(ids)


def test_ids_may_be_uuids_where_the_database_has_them(url: str, place: TablePlace) -> None:
    ids = sorted(uuid.UUID(int=k) for k in range(5))
    table = made(place, {"id": table_kind(uuid.UUID), "n": table_kind(int)}, "id")
    TableWriter(place, table, "id").write({"id": ids, "n": list(range(5))})
    spans = list(TableSplitter("id", PartSize(rows=2)).spans(place))
    reader = TableReader(None, "id", Signature(columns=SIGNATURE.columns[:1]))
    found = [
        str(one)
        for span in spans
        for rows in reader.read(place, span, 9)
        for one in rows.columns["id"]
    ]
    assert [one.replace("-", "") for one in found] == [one.hex for one in ids]


def test_decimal_numbers_are_numbers_for_the_model(url: str, place: TablePlace) -> None:
    table = made(place, {"id": sa.BigInteger(), "amount": sa.Numeric(12, 2)}, "id")
    amounts = [decimal.Decimal("0.10"), decimal.Decimal("1250000000.25"), None]
    TableWriter(place, table, "id").write({"id": [1, 2, 3], "amount": amounts})
    signature = Signature(columns=SIGNATURE.columns[:1])
    (span,) = TableSplitter(None).spans(place)
    (rows,) = TableReader(None, None, signature).read(place, span, 10)
    matrix = rows.check(Validator(signature, strict=True)).table.matrix
    assert matrix[:2, 0].tolist() == [0.1, 1250000000.25]
    assert matrix[2, 0] != matrix[2, 0]


ROWS_OF_EACH_TYPE: dict[str, tuple[str, ...]] = {
    "sqlite": (
        """CREATE TABLE things (
            id INTEGER PRIMARY KEY, whole BIGINT, real DOUBLE, yes BOOLEAN, cents NUMERIC(10, 2),
            day DATE, moment DATETIME, raw BLOB, word TEXT
        )""",
        "INSERT INTO things VALUES (1, 5, 0.1, 1, 1234.56, '2024-02-29', '2024-02-29 10:30:00',"
        " x'00ff', 'ö')",
        "INSERT INTO things (id) VALUES (2)",
    ),
    "postgresql": (
        """CREATE TABLE things (
            id BIGINT PRIMARY KEY, whole BIGINT, real DOUBLE PRECISION, yes BOOLEAN,
            cents NUMERIC(10, 2), day DATE, moment TIMESTAMP, raw BYTEA, word TEXT,
            exact NUMERIC, long NUMERIC(60, 2), zoned TIMESTAMPTZ, clock TIME, span INTERVAL,
            name UUID, nested JSONB, many INTEGER[]
        )""",
        "INSERT INTO things VALUES (1, 5, 0.1, true, 1234.56, '2024-02-29', '2024-02-29 10:30:00',"
        " '\\x00ff', 'ö', 1234.5600, 1e50, '1875-01-01 00:00:00+00', '10:30', '1 day 02:00',"
        " '00000000-0000-0000-0000-000000000001', '{\"a\": [1]}', '{1,2}')",
        "INSERT INTO things (id) VALUES (2)",
        "INSERT INTO things (id, cents) VALUES (3, 'NaN')",
    ),
    "mysql": (
        """CREATE TABLE things (
            id BIGINT PRIMARY KEY, whole BIGINT, `real` DOUBLE, yes BOOLEAN,
            cents DECIMAL(10, 2), day DATE, moment DATETIME(6), raw BLOB, word TEXT,
            long_ DECIMAL(60, 2), clock TIME(6), name UUID
        )""",
        "INSERT INTO things VALUES (1, 5, 0.1, true, 1234.56, '2024-02-29', '2024-02-29 10:30:00',"
        " x'00ff', 'ö', 1e50, '10:30', '00000000-0000-0000-0000-000000000001')",
        "INSERT INTO things (id) VALUES (2)",
    ),
}
"""Tables with a column of each type: a row of values, a row of nulls."""


def files_of(place: TablePlace, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What the files of each form have of a table."""
    (span,) = TableSplitter("id").spans(place)
    kinds = place.types(TableSplitter("id").names(place))
    found = {}
    for form in ("csv", "jsonl", "parquet"):
        path = folder / f"rows.{form}"
        writer = writer_of(form, kinds, {})(path, True)
        # A batch for each row, so that one has nothing but nulls.
        for rows in TableReader(None, "id", SIGNATURE).read(place, span, 1):
            writer.write(rows.kept())
        writer.close()
        found[form] = rows_in(path)
    return found


def test_files_have_the_values_of_columns_of_each_type(
    url: str, place: TablePlace, tmp_path: Path
) -> None:
    rows_of(url, *ROWS_OF_EACH_TYPE[place.database.dialect])
    if place.is_psycopg:
        place.database.close()
        place = TablePlace(f"{url}?options=-c%20TimeZone%3DEurope%2FBerlin&table=things")
    found = files_of(place, tmp_path)
    place.database.close()
    (parquet, nulls, *more), csv, jsonl = found["parquet"], found["csv"][0], found["jsonl"][0]
    assert set(nulls.values()) == {2, None}
    assert all(one["cents"] is None for one in more)
    assert (parquet["whole"], parquet["real"], parquet["word"]) == (5, 0.1, "ö")
    assert bool(parquet["yes"]) is True
    assert (parquet["raw"], csv["raw"], jsonl["raw"]) == ("AP8=",) * 3
    if place.database.dialect == "sqlite":  # where all of these are numbers and text
        assert parquet["cents"] == 1234.56
        assert (parquet["day"], parquet["moment"]) == ("2024-02-29", "2024-02-29 10:30:00")
        return
    assert parquet["cents"] == decimal.Decimal("1234.56")
    assert parquet["day"] == datetime.date(2024, 2, 29)
    assert parquet["moment"] == datetime.datetime(2024, 2, 29, 10, 30)
    if "zoned" in parquet:
        # It was read as 00:53:28 of Berlin, a zone that Arrow does not read.
        assert csv["zoned"] == "1875-01-01T00:53:28+00:53:28"
        assert parquet.pop("zoned") == datetime.datetime(1875, 1, 1, tzinfo=datetime.UTC)
        assert json.loads(parquet.pop("nested")) == {"a": [1]}
        assert json.loads(parquet.pop("many")) == [1, 2]
    plain = ("whole", "real", "yes", "cents", "day", "moment")
    texts = {name: text for name, text in parquet.items() if name not in plain}
    assert texts == {name: csv[name] for name in texts} | {"id": 1}


def test_decimal_numbers_of_any_length_and_moments_with_a_zone_stay_what_they_are(
    url: str, place: TablePlace
) -> None:
    exact = of_table(sa.Numeric(), is_sqlite=False)
    berlin = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 7, 1, 1, 30, tzinfo=berlin)
    types = {"id": exact, "cents": exact, "at": TIME_WITH_ZONE}
    cells = [decimal.Decimal("1234.5"), decimal.Decimal("1234.56")]
    TableWriter(place, made(place, types, "id"), "id").write(
        {"id": cells[:1], "cents": cells[1:], "at": [moment]}
    )
    (found,) = rows_of(url, "SELECT id, cents, at FROM things")
    if place.database.dialect == "sqlite":
        assert found == (1234.5, 1234.56, "2026-06-30 23:30:00.000000")
        return
    assert list(map(decimal.Decimal, found[:2])) == cells
    zone = datetime.UTC if place.is_psycopg else None
    assert found[2] == datetime.datetime(2026, 6, 30, 23, 30, tzinfo=zone)
    # A column without zones in a database that has some is in UTC too.
    if place.is_psycopg:
        rows_of(url, "CREATE TABLE plain (id BIGINT PRIMARY KEY, at TIMESTAMP)")
        plain = TablePlace(f"{url}?table=plain")
        table = made(plain, {"id": sa.BigInteger(), "at": TIME_WITH_ZONE}, "id")
        TableWriter(plain, table, "id").write({"id": [1], "at": [moment]})
        plain.database.close()
        assert rows_of(url, "SELECT at FROM plain") == [(datetime.datetime(2026, 6, 30, 23, 30),)]


@pytest.mark.parametrize("kind", ["NUMERIC(19, 0)", "uint64"])
def test_ids_may_be_whole_numbers_that_are_decimal(url: str, place: TablePlace, kind: str) -> None:
    ids = [1, 2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3]
    if kind == "uint64":
        types = {"id": table_kind(pa.uint64()), "n": table_kind(int)}
        TableWriter(place, made(place, types, "id"), "id").write({"id": ids, "n": ids})
    else:
        rows_of(url, f"CREATE TABLE things (id {kind} PRIMARY KEY)")
        rows_of(url, f"INSERT INTO things VALUES {', '.join(f'({one})' for one in ids)}")
    spans = list(TableSplitter("id", PartSize(rows=3)).spans(place))
    assert [one.ids for one in spans] == [(1, 2**53 + 1), (2**53 + 2, 2**53 + 3)]
    reader = TableReader(None, "id", SIGNATURE)
    found = [
        one for span in spans for rows in reader.read(place, span, 2) for one in rows.columns["id"]
    ]
    assert found == ids


@pytest.mark.services
def test_a_decimal_number_that_is_infinite_is_its_rows_fault(tmp_path: Path) -> None:
    signature = Signature(columns=SIGNATURE.columns[:1])
    with empty_database("postgresql", tmp_path) as url:
        rows_of(url, "CREATE TABLE things (id BIGINT PRIMARY KEY, amount NUMERIC)")
        rows_of(url, "INSERT INTO things VALUES (1, 'Infinity'), (2, '-Infinity'), (3, 'NaN')")
        place = TablePlace(f"{url}?table=things")
        (span,) = TableSplitter(None).spans(place)
        (rows,) = TableReader(None, None, signature).read(place, span, 10)
        with pytest.raises(SignatureMismatch) as refused:
            rows.check(Validator(signature, strict=True))
        # The rows are told from each other, so that these two alone are listed.
        found = [one.message for one in refused.value.problems]
        assert found == [
            f"row {k}, amount: expected a number, got a number too large" for k in (0, 1)
        ]
        place.database.close()


def test_a_value_that_a_column_cannot_hold_is_refused(place: TablePlace) -> None:
    # SQLite's columns hold whatever they are given, except where the driver reads text as a time.
    is_sqlite = place.database.dialect == "sqlite"
    kind, value = (sa.DateTime(), "soon") if is_sqlite else (sa.SmallInteger(), 1_000_000)
    table = made(place, {"id": sa.BigInteger(), "n": kind}, "id")
    with pytest.raises(InvalidInput, match="cannot hold"):
        TableWriter(place, table, "id").write({"id": [1], "n": [value]})


REFUSED: dict[str, tuple[str, ...]] = {
    "large": ("sqlite", "postgresql", "mysql"),
    "missing": ("sqlite", "postgresql", "mysql"),
    "nested": ("postgresql", "mysql"),
    "nul": ("postgresql",),
    "long id": ("postgresql", "mysql"),
    "infinite": ("mysql",),
}
"""Which databases cannot hold which of the rows below."""
HELD = """CREATE TABLE things (
    id VARCHAR(255) PRIMARY KEY, n BIGINT NOT NULL, x DOUBLE PRECISION, t TEXT
)"""


@pytest.mark.parametrize("which", REFUSED)
def test_a_row_that_cannot_be_held_is_refused_and_none_of_those_with_it_is_written(
    url: str, place: TablePlace, which: str
) -> None:
    columns = {"id": table_kind(str), "n": sa.BigInteger(), "x": sa.Double(), "t": table_kind(str)}
    is_mariadb = place.database.dialect == "mysql"
    rows_of(url, HELD.replace("(255)", "(255) COLLATE utf8mb4_bin") if is_mariadb else HELD)
    row: dict[str, Any] = {"id": "b", "n": 1, "x": 0.5, "t": "text"}
    changed: dict[str, dict[str, Any]] = {
        "large": {"n": 2**70},
        "missing": {"n": None},
        "nested": {"n": {"a": [1]}},
        "nul": {"t": "\0"},
        "long id": {"id": "b" * 256},
        "infinite": {"x": float("inf")},
    }
    row |= changed[which]
    good = {"id": "a", "n": 1, "x": 0.5, "t": "text"}
    writer = TableWriter(place, made(place, columns, "id"), "id")
    if place.database.dialect not in REFUSED[which]:
        writer.write({name: [good[name], row[name]] for name in good})
        assert rows_of(url, "SELECT count(*) FROM things") == [(2,)]
        return
    with pytest.raises(InvalidInput):
        writer.write({name: [good[name], row[name]] for name in good})
    assert rows_of(url, "SELECT count(*) FROM things") == [(0,)]


def test_what_may_pass_is_tried_again_and_nothing_else(
    url: str, place: TablePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    writer = TableWriter(place, made(place, {"id": sa.BigInteger(), "n": sa.Double()}, "id"), "id")
    if place.database.dialect == "postgresql":
        rows_of(
            url,
            "CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END$$",
            "CREATE TRIGGER ends BEFORE INSERT ON things EXECUTE FUNCTION ends()",
        )
    if place.database.dialect == "mysql":
        signal = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213"
        rows_of(url, f"CREATE TRIGGER ends BEFORE INSERT ON things FOR EACH ROW {signal}")
    if place.database.dialect != "sqlite":
        with pytest.raises(StoreUnavailable):
            writer.write({"id": [1], "n": [0.5]})
        assert len(waits) == 4
    waits.clear()
    rows_of(url, "DROP TABLE things")
    with pytest.raises(StoreUnavailable):
        writer.write({"id": [1], "n": [0.5]})
    assert waits == []


def test_an_index_over_some_rows_does_not_keep_an_id_to_one_row(
    url: str, place: TablePlace
) -> None:
    if place.database.dialect == "mysql":
        pytest.skip("MariaDB has no such index")
    create = "CREATE TABLE things (id BIGINT, n BIGINT)"
    rows_of(url, create, "CREATE UNIQUE INDEX one ON things (id) WHERE n > 0")
    with pytest.raises(InvalidInput, match="may have a value of its column id in several rows"):
        made(place, {"id": sa.BigInteger(), "n": sa.BigInteger()}, "id")


def test_of_a_query_only_what_is_secret_is_hidden_where_a_database_fails() -> None:
    query = "connect_timeout=127&sslpassword=refused&table=things"
    place = TablePlace(f"postgresql://me:0.1@127.0.0.1:{free_port()}/database?{query}")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.") as told, place.database.reading():
        pass
    assert "refused" not in told.value.message
    assert '"127.0.***"' in told.value.message


def test_a_row_never_replaces_one_of_another_id(url: str, place: TablePlace) -> None:
    create = "CREATE TABLE things (id BIGINT PRIMARY KEY, n BIGINT UNIQUE)"
    rows_of(url, create, "INSERT INTO things VALUES (3, 7)")
    types = {"id": sa.BigInteger(), "n": sa.BigInteger()}
    with pytest.raises(InvalidInput, match="things"):
        TableWriter(place, made(place, types, "id"), "id").write({"id": [5], "n": [7]})
    assert rows_of(url, "SELECT id, n FROM things") == [(3, 7)]


@pytest.mark.services
def test_ids_that_a_collation_takes_for_the_same_are_refused(tmp_path: Path) -> None:
    create = "CREATE TABLE things (id VARCHAR(9) COLLATE {}, n BIGINT UNIQUE, UNIQUE (id))"
    types = {"id": table_kind(str), "x": sa.Double()}
    with empty_database("mariadb", tmp_path) as url:
        rows_of(url, create.format("utf8mb4_general_ci"), "ALTER TABLE things ADD x DOUBLE")
        place = TablePlace(f"{url}?table=things")
        with pytest.raises(InvalidInput, match="by its collation utf8mb4_general_ci"):
            made(place, types, "id")
        rows_of(url, "ALTER TABLE things MODIFY id VARCHAR(9) COLLATE utf8mb4_bin")
        # What is unique and not written is no row's double.
        TableWriter(place, made(place, types, "id"), "id").write({"id": ["a", "A"], "x": [1, 2]})
        assert rows_of(url, "SELECT count(*) FROM things") == [(2,)]
        place.database.close()


def test_a_table_is_known_by_its_columns(url: str, place: TablePlace) -> None:
    written(place, things(0, 1))
    first = table_fingerprint(place)
    written(place, things(1, 1))
    assert table_fingerprint(place) == first
    rows_of(url, "ALTER TABLE things ADD COLUMN more INTEGER")
    again = TablePlace(place.text)
    assert table_fingerprint(again) != first
    again.database.close()
    nothing = TablePlace(f"{url}?table=nothing")
    with pytest.raises(SourceNotFound, match="table=nothing"):
        table_fingerprint(nothing)
    nothing.database.close()


def test_a_password_is_never_shown() -> None:
    place = TablePlace("postgresql://me:geheim@db/loans?table=risk.loans&sslpassword=auch")
    assert place.shown == "postgresql://me:***@db/loans?table=risk.loans"
    assert (place.schema, place.name) == ("risk", "loans")
    odbc = TablePlace("mssql://db/loans?odbc_connect=UID%3Dme%3BPWD%3Dgeheim&table=x")
    assert odbc.shown == "mssql://db/loans?table=x"
    with pytest.raises(BadValue) as refused:
        TablePlace("postgresql://me:geheim@db/loans")
    assert "geheim" not in refused.value.message
    with pytest.raises(BadValue, match="cannot be read"):
        TablePlace("://?table=x")


def test_tables_of_two_servers_that_differ_in_a_parameter_are_shown_as_two() -> None:
    query = "password=geheim&connect_timeout=5&table=x"
    places = [TablePlace(f"postgresql:///db?host=/{one}&{query}") for one in "ab"]
    assert [one.shown for one in places] == [
        f"postgresql:///db?connect_timeout=5&host=%2F{one}&table=x" for one in "ab"
    ]


def test_a_name_that_is_too_long_is_refused_before_a_table_is_made(
    url: str, place: TablePlace
) -> None:
    longest = "ö" * 31 + "x" if place.is_psycopg else "ö" * 64
    columns = {"id": table_kind(int), longest: table_kind(int)}
    too_long = {"id": table_kind(int), longest + "y": table_kind(int)}
    if place.database.dialect == "sqlite":
        assert longest + "y" in made(place, too_long, "id").columns
        return
    with pytest.raises(InvalidInput, match=f"cannot have the name {longest}y"):
        made(place, too_long, "id")
    with place.database.reading() as connection:
        assert not place.is_there(connection)
    assert longest in made(place, columns, "id").columns
