"""The formats of bulk scoring: how each is divided, read, written and joined.

What Parquet and tables need is imported where they are read or written, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.backends.csv_files import CsvReader, CsvSplitter, CsvWriter
from modelway.backends.jsonl_files import JsonlReader, JsonlSplitter, JsonlWriter, objects_of
from modelway.backends.text_files import TextJoiner
from modelway.batch.ports import Joiner, Reader, Splitter, Writer
from modelway.composition.batch_places import TABLE
from modelway.composition.batch_types import arrow_kind, kind_of, table_kind
from modelway.composition.cell_values import CellValues
from modelway.composition.row_files import format_of
from modelway.domain.errors import MissingExtra
from modelway.domain.signature import Column, Datatype, Signature

if TYPE_CHECKING:
    from modelway.backends.table_place import TablePlace
    from modelway.composition.batch_places import Place

MakeWriter = Callable[[Path, bool], Writer]
"""Begins a part at a path; True for the first of all."""


def splitter_of(form: str, id_column: str | None) -> Splitter[Any]:
    """What divides inputs of a format, tables by the id. Raises MissingExtra."""
    if form == "csv":
        return CsvSplitter()
    if form == "jsonl":
        return JsonlSplitter()
    if form == TABLE:
        from modelway.backends.table_reading import TableSplitter

        return TableSplitter(id_column)
    _need_arrow()
    from modelway.backends.parquet_scoring import ParquetSplitter

    return ParquetSplitter()


def reader_of(
    form: str,
    signature: Signature,
    kept: Sequence[str] | None,
    id_column: str | None = None,
    *,
    typed: bool,
    is_all: bool = False,
) -> Reader[Any]:
    """What reads inputs of a format; ``typed`` where cells of text are to be kept as values, and
    ``is_all`` where no row may have a column that is not ``kept``.
    """
    known = signature.positions
    if form == "csv":
        return CsvReader(kept, known, CellValues(signature).column if typed else None)
    if form == "jsonl":
        return JsonlReader(kept, known, is_all)
    if form == TABLE:
        from modelway.backends.table_reading import TableReader

        return TableReader(kept, id_column, signature)
    from modelway.backends.parquet_scoring import ParquetReader
    from modelway.rest.arrow import arrow_array, read_table

    texts = frozenset(name for name, i in known.items() if signature.columns[i].is_text)
    return ParquetReader(kept, known, texts, read_table, arrow_array)


def writer_of(form: str, kept: Mapping[str, Any], answers: Mapping[str, Any]) -> MakeWriter:
    """What writes parts of a format, whose columns are the kept ones, with their types, and those
    of ``answers``.
    """
    if form == "csv":
        names = [*kept, *answers]
        return lambda path, first: CsvWriter(path, names, first=first)
    if form == "jsonl":
        return lambda path, _: JsonlWriter(path)
    from modelway.backends.parquet_scoring import ParquetWriter
    from modelway.rest.arrow import arrow_array

    types = {name: arrow_kind(kind) for name, kind in kept.items()}
    for name, values in answers.items():
        kind = arrow_array(values).type
        types[name] = str if str(kind) == "large_string" else kind
    return lambda path, _: ParquetWriter(path, types, arrow_array)


def table_writer_of(
    place: TablePlace, key: str, kept: Mapping[str, Any], answers: Mapping[str, Any]
) -> Writer:
    """What writes rows to a table, which is made where it is not there.

    Raises:
        InvalidInput: the table is there, and is not made for these columns.
    """
    from modelway.backends.table_writing import TableWriter, made

    types = {name: table_kind(kind) for name, kind in kept.items()}
    types |= {name: table_kind(kind_of(values)) for name, values in answers.items()}
    return TableWriter(place, made(place, types, key), key)


def joiner_of(form: str) -> Joiner:
    """What makes an output of its parts."""
    if form != "parquet":
        return TextJoiner()
    _need_arrow()
    from modelway.backends.parquet_joining import ParquetJoiner

    return ParquetJoiner()


def kept_types(
    places: Sequence[Place], kept: Sequence[str], signature: Signature
) -> Mapping[str, Any]:
    """The types of the columns that are kept, by the inputs and the signature.

    They are those of Python, Arrow or SQLAlchemy.
    """
    first = places[0]
    if not isinstance(first, Path):
        return first.types(kept)
    form = format_of(first)
    if form == "parquet":
        from modelway.backends.parquet_scoring import schema_of

        schema = schema_of(first)
        return {name: schema.field(name).type for name in kept}
    known = signature.positions
    strange = [name for name in kept if name not in known] if form == "jsonl" else []
    found = _first_types([one for one in places if isinstance(one, Path)], strange)
    return {
        name: _type_of(signature.columns[known[name]]) if name in known else found.get(name, str)
        for name in kept
    }


def _first_types(paths: Sequence[Path], names: Sequence[str]) -> Mapping[str, type]:
    """The types of the first values of columns, among the first rows of JSON lines."""
    wanted, found = set(names), dict[str, type]()
    first, *others = paths
    rows = [
        islice(objects_of(first), _LOOKED_AT_ROWS),
        *(islice(objects_of(one), 1) for one in others),
    ]
    for row in chain.from_iterable(rows):
        if not wanted:
            break
        for name in [one for one in wanted if row.get(one) is not None]:
            kind = type(row[name])
            found[name] = kind if kind in (int, float, bool) else str
            wanted.remove(name)
    return found


def _type_of(column: Column) -> type:
    if not column.is_numeric:
        return str
    if column.datatype is Datatype.BOOL:
        return bool
    return float if column.datatype.is_float else int


def _need_arrow() -> None:
    import importlib.util

    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", "arrow", "a Parquet file")


_LOOKED_AT_ROWS = 1000
