"""Partitions of Iceberg tables: how a table is divided, and which rows and files are of which partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.extras import needing
from stellarrow.sinks.files.runs import Run
from stellarrow.sinks.iceberg.location import PARTITION_LEDGERS, Location
from stellarrow.sinks.lakehouse.data_file import Partition, Written

with needing("Iceberg", "iceberg"):
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.transforms import (
        BucketTransform,
        DayTransform,
        Transform,
        TruncateTransform,
        parse_transform,
    )
    from pyiceberg.typedef import Record

METRICS: Final = "write.metadata.metrics.column."  # a property of tables, for each column
_CODE: Final = pa.int64()


def spec_of(location: Location, schema: Schema) -> PartitionSpec:
    """Return how a new table is divided; one without the column it would be divided by has no partitions."""
    chosen: dict[str, tuple[str, str, Transform[Any, Any]]] = {
        "ledgers": ("ledger_sequence", "ledgers", TruncateTransform(PARTITION_LEDGERS)),
        "day": ("closed_at", "closed_at_day", DayTransform()),
        "bucket": ("contract_id", "contract_id_bucket", BucketTransform(location.buckets)),
    }
    column, name, transform = chosen.get(location.partition, ("", "", DayTransform()))
    if column not in schema.column_names:
        return PartitionSpec()
    source = schema.find_field(column).field_id
    return PartitionSpec(PartitionField(source, PARTITION_FIELD_ID_START, transform, name))


@dataclass(frozen=True, slots=True)
class Division:
    """Divides rows as a table is divided: by transforms of columns, each as `(column, transform)`."""

    fields: tuple[tuple[str, str], ...]
    types: tuple[str, ...]

    @classmethod
    def of(cls, spec: PartitionSpec, schema: Schema) -> Division:
        sources = [schema.find_field(one.source_id) for one in spec.fields]
        names = tuple(
            (source.name, str(one.transform)) for one, source in zip(spec.fields, sources, strict=True)
        )
        return cls(names, tuple(str(one.field_type) for one in sources))

    def __call__(self, run: Run) -> Iterator[tuple[Partition, Run]]:
        """Yield the rows of each partition, in their order."""
        rows = run.batch()
        codes = pa.repeat(pa.scalar(0, _CODE), rows.num_rows)
        partitions: list[Partition] = [()]
        for (name, transform), kind in zip(self.fields, self.types, strict=True):
            found, values = _coded(rows.column(name), transform, kind)
            codes = pc.add(pc.multiply(codes, len(values)), found)
            partitions = [(*one, value) for one in partitions for value in values]
        there = codes.unique().to_pylist()
        for code in there:
            kept = rows if len(there) == 1 else rows.filter(pc.equal(codes, code))
            yield partitions[code], Run(rows.schema, [kept])


def _coded(column: pa.Array, transform: str, kind: str) -> tuple[pa.Array, list[Any]]:
    """Return, for each value, which of the transform's values it has, and these."""
    held = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    does = parse_transform(transform).transform(_type_named(kind))
    made = [None if one is None else does(one) for one in _plain(held.dictionary)]
    values: list[Any] = list(dict.fromkeys([*made, None]))  # null has a partition of its own
    at = {value: code for code, value in enumerate(values)}
    codes = pa.array([at[one] for one in made], _CODE)
    found = codes.take(held.indices) if len(codes) else pa.nulls(len(held), _CODE)
    return pc.fill_null(found, at[None]), values


def _plain(values: pa.Array) -> list[Any]:
    """Return values as Iceberg computes with them: moments as microseconds, dates as days."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
    elif pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    plain: list[Any] = values.to_pylist()
    return plain


def _type_named(kind: str) -> Any:
    from pyiceberg.types import NestedField  # noqa: PLC0415  its validator reads a type's name

    return NestedField.model_validate({"id": 1, "name": "value", "type": kind, "required": False}).field_type


def _unmeasured(schema: Schema) -> dict[str, str]:
    """Return properties that say of what is inside columns that files tell no least and greatest of it."""
    outer = {field.name for field in schema.fields}
    return {f"{METRICS}{name}": "none" for name in schema.column_names if name not in outer}


def data_file(metadata: TableMetadata, path: str, file: Written) -> DataFile:
    """Return what a manifest tells of a file."""
    schema = metadata.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=file.footer,
        stats_columns=compute_statistics_plan(schema, {**metadata.properties, **_unmeasured(schema)}),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record(*file.partition),
        file_size_in_bytes=file.bytes,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
