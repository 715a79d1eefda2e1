"""Parquet: rows of a run sorted by contract, small row groups, so that a reader skips the rest."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.dictionaries import REPEATED, decoded, encoded_schema
from stellarrow.sinks.files.formats import buffered, codec_of
from stellarrow.sinks.files.formats.added import completed, written
from stellarrow.sinks.files.runs import in_ledger_order

_CODECS: Final = dict.fromkeys(("zstd", "none", "snappy", "gzip", "lz4", "brotli"), ".parquet")
_ZSTD_LEVEL: Final = 1  # hex and base64 become smaller than at level 3, measured on load tests and pubnet
# Within a run rows are sorted, so a group holds few contracts, and a filter on one reads a group a run.
# Half as many rows let pyarrow read half as much, but cost a tenth of an extract's time, and longer footers.
_ROWS_A_GROUP: Final = 16_384
_CONTRACTS_A_GROUP: Final = 512  # what the bloom filter of a group is made for: 1 KB
_FALSE_POSITIVES: Final = 0.01
_FACTS: Final = "stellarrow."
_FEW_BYTES: Final = 4_096  # of a row group's dictionary, compressed
_DICTIONARY_PART: Final = 4  # or so much of a column at most
_MAGIC: Final = b"PAR1"
_EVERY: Final = LedgerRange(0)
_ENDING: Final = 8  # bytes: the footer's length, and the magic word
_SCHEMA: Final = "ARROW:schema"  # where every Arrow reader looks for it

# Texts of few values, measured on real ledgers. A dictionary serves them, and the long ones that repeat;
# elsewhere zstd alone is smaller and faster.
_FEW_VALUES: Final = frozenset(
    (
        *("asset_code", "asset_issuer", "asset_type", "change_type", "contract_durability", "contract_id"),
        *("contract_instance_type", "contract_instance_wasm_hash", "contract_key_type", "event_name"),
        *("event_type", "stage"),
    )
)


class Parquet:
    """The format Parquet, compressed with zstd unless told."""

    name = "parquet"
    takes_dictionaries = True
    block: int | None = _ROWS_A_GROUP

    def __init__(self, codec: str | None = None, *, level: int = _ZSTD_LEVEL) -> None:
        self.codec, self.suffix = codec_of(codec, _CODECS, "Parquet")
        self.suffixes: tuple[str, ...] = (self.suffix,)
        self._level = level

    def sort_by(self, schema: pa.Schema) -> str | None:
        return "contract_id" if "contract_id" in schema.names else None

    def begin(self, out: Any, schema: pa.Schema) -> _Writing:
        sorted_by = self.sort_by(schema)
        written = encoded_schema(schema) if sorted_by else schema
        file = buffered(out)
        filtered = {"ndv": _CONTRACTS_A_GROUP, "fpp": _FALSE_POSITIVES}
        writer = pq.ParquetWriter(
            file,
            written,
            compression=self.codec,
            compression_level=self._level if self.codec == "zstd" else None,
            use_dictionary=_leaves(schema, _FEW_VALUES | REPEATED if sorted_by else _FEW_VALUES),
            write_statistics=[field.name for field in schema if tells(field)],
            write_page_index=True,
            write_page_checksum=True,
            sorting_columns=[pq.SortingColumn(schema.names.index(sorted_by))] if sorted_by else None,
            bloom_filter_options={sorted_by: filtered} if sorted_by else None,
            store_schema=False,
        )
        # The table's own, not that of the dictionaries it is written from.
        writer.add_key_value_metadata({_SCHEMA: b64encode(schema.serialize()).decode()})
        return _Writing(file, writer)

    def read(
        self, file: pa.NativeFile, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        asked = pa.schema([schema.field(name) for name in columns or schema.names], schema.metadata)
        for run in self.runs(file, schema, asked.names):
            there = pa.schema([asked.field(name) for name in run.schema.names], schema.metadata)
            for rows in in_ledger_order(run, there):
                yield completed(rows, asked)

    def runs(
        self,
        file: pa.NativeFile,
        schema: pa.Schema,
        columns: Sequence[str],
        wanted: LedgerRange = _EVERY,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of each run as they lie there: texts that repeat are dictionaries.

        Runs without a ledger that is wanted are passed over. `plain` makes the table's rows of them.
        Errors as of `read`.
        """
        answer = pq.read_metadata(file)
        kept = answer.schema.to_arrow_schema()
        if not kept.equals(written(schema, kept.names)):
            raise ValueError("its columns are not the table's")
        texts = _repeating(answer, kept)
        held = pq.ParquetFile(file, metadata=answer, read_dictionary=texts, page_checksum_verification=True)
        there = [name for name in columns if name in kept.names]
        for first, last, groups in ledger_runs(answer):
            if last < wanted.first or first > wanted.end:
                continue
            read = held.read_row_groups(groups, there, use_threads=False).select(there)
            yield from read.combine_chunks().to_batches()

    def facts(self, file: pa.NativeFile) -> dict[str, str]:
        from stellarrow.sinks.files.formats.trial import try_out  # noqa: PLC0415  hardly ever needed

        try_out(file)
        answer = pq.read_metadata(file).metadata or {}
        return {
            name.decode().removeprefix(_FACTS): value.decode()
            for name, value in answer.items()
            if name.startswith(_FACTS.encode())
        }

    def footer(self, file: pa.NativeFile) -> bytes:
        """Return a file's end, as long as the file itself says: nobody has parsed it."""
        size = file.size()
        file.seek(max(0, size - _ENDING))
        length = int.from_bytes(file.read(4), "little") + _ENDING
        if file.read() != _MAGIC or length > size:
            raise ValueError("it does not end as a Parquet file does")
        file.seek(size - length)
        return bytes(file.read())


class _Writing:
    def __init__(self, file: pa.NativeFile, writer: pq.ParquetWriter) -> None:
        self._file = file
        self._writer = writer

    def write(self, rows: pa.RecordBatch) -> None:
        if rows.num_rows:
            self._writer.write_batch(rows)

    def close(self, facts: Mapping[str, str]) -> None:
        self._writer.add_key_value_metadata({_FACTS + fact: value for fact, value in facts.items()})
        self._writer.close()
        self._file.close()


def tells(field: pa.Field) -> bool:
    """Whether the least and greatest value of a row group tell a reader that it may pass over it."""
    return field.name in _FEW_VALUES or not (pa.types.is_string(field.type) or pa.types.is_list(field.type))


def plain(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows of a run as the table has them, with nulls for columns that the file lacks."""
    if rows.schema.equals(schema):
        return rows
    there = pa.schema([schema.field(name) for name in rows.schema.names], schema.metadata)
    return completed(decoded(rows, there), schema)


def _leaves(schema: pa.Schema, names: Container[str]) -> list[str]:
    """Return the paths by which Parquet knows columns."""
    return [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in schema
        if field.name in names
    ]


def _repeating(held: pq.FileMetaData, schema: pa.Schema) -> list[str]:
    """Return the columns that are read as dictionaries: those of texts that repeat in this file, too.

    Arrow makes one dictionary of those of all row groups, which costs more than it saves where they hold
    nearly a text a row. Lists of dictionaries it reads of one row group only.
    """
    texts = {field.name for field in schema if field.name in REPEATED and pa.types.is_string(field.type)}
    whole, dictionaries = dict.fromkeys(texts, 0), dict.fromkeys(texts, 0)
    for group in map(held.row_group, range(held.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if (name := column.path_in_schema) in texts:
                whole[name] += column.total_compressed_size
                if column.has_dictionary_page:
                    dictionaries[name] += column.data_page_offset - column.dictionary_page_offset
    few = _FEW_BYTES * held.num_row_groups
    return [name for name in sorted(texts) if dictionaries[name] <= max(few, whole[name] // _DICTIONARY_PART)]


def run_groups(held: pq.FileMetaData) -> Iterator[list[int]]:
    """Tell row groups apart by run. ValueError as of `ledger_runs`."""
    return (groups for _, _, groups in ledger_runs(held))


def ledger_runs(held: pq.FileMetaData) -> Iterator[tuple[int, int, list[int]]]:
    """Tell row groups apart by run: a new one begins where all ledgers lie behind those before.

    With them come a run's first and last ledger. ValueError where they do not tell their ledgers.
    """
    groups: list[int] = []
    first, reach = -1, -1
    at = held.schema.to_arrow_schema().names.index("ledger_sequence")
    filled = [group for group in range(held.num_row_groups) if held.row_group(group).num_rows]
    bounds = [held.row_group(group).column(at).statistics for group in filled]
    if not all(bound is not None and bound.has_min_max for bound in bounds):
        raise ValueError("a row group does not tell its ledgers")
    lowest = [bound.min for bound in bounds]
    for at in reversed(range(len(lowest) - 1)):
        lowest[at] = min(lowest[at], lowest[at + 1])
    for group, bound, least in zip(filled, bounds, lowest, strict=True):
        if groups and least > reach:
            yield first, reach, groups
            groups = []
        first = first if groups else least
        groups.append(group)
        reach = max(reach, bound.max)
    if groups:
        yield first, reach, groups
