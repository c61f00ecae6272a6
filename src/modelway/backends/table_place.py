"""A table of a database as a place of rows: ``URL?table=NAME``, any URL that SQLAlchemy reads.

The name of the table is a parameter of the URL, so that one word says where rows are, as a path
does; ``schema.table`` names one that is in another schema than the user's own. A view is read as a
table is. What is shown of a URL never has its password, nor parameters that may be secret.

Source: SQLAlchemy, "Database URLs".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from sqlalchemy import URL, Column, Connection, Engine, MetaData, Table, create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError

from modelway.backends.sql.connecting import BUSY_S, DRIVERS, missing, server_engine
from modelway.backends.sql.database import Database
from modelway.backends.table_types import Kind, of_table
from modelway.domain.addresses import names_secret
from modelway.domain.errors import BadValue, InvalidInput, SourceNotFound

EXPECTED = "postgresql://HOST/DATABASE?table=NAME, with mariadb or sqlite:///PATH alike"
_OURS = ("postgresql+psycopg", "mysql+pymysql", "mariadb+pymysql")
"""The drivers whose options are known."""


class TablePlace:
    """The table that a URL names; the database is connected to where it is needed first.

    ``text`` is the URL as it was given, with its password; ``shown`` is for everyone.
    """

    def __init__(self, text: str) -> None:
        """Read the URL. Raises BadValue."""
        self.text = text
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            # The text may hold a password, so it is not repeated.
            raise BadValue(f"the URL of a table cannot be read: expected {EXPECTED}") from error
        named = url.query.get("table")
        if not isinstance(named, str) or not named or not url.database:
            raise BadValue(f"the URL names no table, or no database: expected {EXPECTED}")
        self.schema, _, self.name = named.rpartition(".")
        # Two databases may differ in a parameter alone, such as the folder of a socket.
        plain = url.set(query=_not_secret(url)).render_as_string()
        self.shown = f"{plain}{'&' if '?' in plain else '?'}table={named}"
        self._url = url.difference_update_query(["table"])

    @cached_property
    def database(self) -> Database:
        """The database. Raises BadValue, MissingExtra."""
        name = self._url.drivername
        url = self._url.set(drivername=DRIVERS.get(name, name))
        try:
            engine = _engine(url)
        except ModuleNotFoundError as error:
            raise missing(error, self.shown) from error
        except NoSuchModuleError as error:
            raise BadValue(f"no driver is known for {name}: expected {EXPECTED}") from error
        secrets = [str(url.password or "")]
        for option, values in url.normalized_query.items():
            if names_secret(option):
                secrets += values
        return Database(engine, self.shown, [one for one in secrets if one], "table")

    @property
    def is_psycopg(self) -> bool:
        """Whether the database is PostgreSQL, by the driver that copies rows."""
        return DRIVERS.get(self._url.drivername, self._url.drivername) == "postgresql+psycopg"

    def check_there(self) -> None:
        """Do nothing if a file of SQLite is there, as reading must not make one.

        Raises:
            SourceNotFound: it is not.
        """
        if self._url.get_backend_name() == "sqlite" and not Path(str(self._url.database)).exists():
            raise SourceNotFound(str(self._url.database))

    def is_there(self, connection: Connection) -> bool:
        """Whether the table is there."""
        return inspect(connection).has_table(self.name, schema=self.schema or None)

    def table(self, connection: Connection) -> Table:
        """The table, or view, as the database has it. Raises SourceNotFound."""
        try:
            return Table(
                *(self.name, MetaData()),
                schema=self.schema or None,
                autoload_with=connection,
                resolve_fks=False,
            )
        except NoSuchTableError:
            raise SourceNotFound(self.shown) from None

    def types(self, names: Sequence[str]) -> Mapping[str, Kind]:
        """The types of columns, for another table. Raises SourceNotFound."""
        is_sqlite = self.database.dialect == "sqlite"
        with self.database.reading() as connection:
            columns = self.table(connection).columns
        return {name: of_table(columns[name].type, is_sqlite=is_sqlite) for name in names}


def key_of(table: Table, named: str | None, shown: str) -> Column[object]:
    """The column that tells rows apart: the one that is named, or the primary key.

    Raises:
        InvalidInput: there is none.
    """
    if named is not None:
        if named not in table.columns:
            raise InvalidInput(f"{shown} has no column {named}, which is to tell rows apart")
        return table.columns[named]
    if len(table.primary_key.columns) != 1:
        raise InvalidInput(
            f"{shown} has no primary key of one column",
            hint="name a column that tells rows apart with --id-column",
        )
    return next(iter(table.primary_key.columns))


def is_unique(connection: Connection, table: Table, key: Column[object]) -> bool:
    """Whether the database itself keeps each value of the column to one row."""
    return [key.name] in unique_columns(connection, table)


def unique_columns(connection: Connection, table: Table) -> Sequence[Sequence[str]]:
    """The columns whose values together no two rows have, of each key and index for itself."""
    found = inspect(connection)
    unique = [list(table.primary_key.columns.keys())]
    unique += [
        list(one["column_names"]) for one in found.get_unique_constraints(table.name, table.schema)
    ]
    unique += [
        [str(name) for name in one["column_names"]]
        for one in found.get_indexes(table.name, table.schema)
        # That of some rows only is said under the name of each dialect, as ``sqlite_where``.
        if one["unique"] and not any(k.endswith("_where") for k in one.get("dialect_options", {}))
    ]
    return unique


def _not_secret(url: URL) -> Mapping[str, Sequence[str]]:
    """The parameters in which nothing is called a secret, not even in what some driver is told."""
    return {
        name: values
        for name, values in sorted(url.normalized_query.items())
        if name != "table" and not any(map(names_secret, (name, *values)))
    }


def _engine(url: URL) -> Engine:
    if url.drivername in _OURS:
        return server_engine(url)
    # SQLite's file is somebody else's, and how it logs is not changed.
    arguments = {"timeout": BUSY_S} if url.get_backend_name() == "sqlite" else {}
    return create_engine(url, connect_args=arguments, hide_parameters=True)
