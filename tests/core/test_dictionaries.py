"""Texts that repeat, handed over as dictionaries: the same rows as plain texts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.decode import Decoder
from stellarrow.core.framing import frame
from stellarrow.core.gathering import text_size
from stellarrow.core.projection import as_made
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerSet
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sources.files import FileSource

TABLES = [str(one) for one in sa.tables()]
CODED = {"contract_data@1.0", "contract_data@2.0", "contract_events@1.0", "token_transfers@1.0"}
KEPT = ("contract_data", "contract_events", "token_transfers", "transactions")


@pytest.fixture(scope="module")
def chunk() -> LedgerChunk:
    """Thirty synthetic ledgers."""
    ledgers = tuple(islice(synthetic(300, first=100, ledger_bytes=60_000), 30))
    return LedgerChunk(frame(ledgers, "record-marked"), "record-marked", 100, 129, "thirty ledgers")


def decoded(chunk: LedgerChunk, *, dictionaries: bool, where: str = "") -> LedgerBatch:
    decoder = Decoder([*TABLES, *KEPT], network="synthetic", where=where, dictionaries=dictionaries)
    return decoder(chunk)


def is_coded(schema: pa.Schema) -> bool:
    kinds = [kind.value_type if pa.types.is_list(kind) else kind for kind in schema.types]
    return any(map(pa.types.is_dictionary, kinds))


@pytest.mark.parametrize("name", TABLES)
def test_dictionaries_hold_the_rows_that_plain_texts_hold(chunk: LedgerChunk, name: str) -> None:
    plain, coded = (decoded(chunk, dictionaries=one).tables[name] for one in (False, True))
    coded.validate(full=True)
    assert plain.schema == sa.schema(name)
    assert is_coded(coded.schema) == (name in CODED)
    assert coded.cast(plain.schema).equals(plain)
    for start, stop in ((0, plain.num_rows), (7, 19)):
        assert text_size(coded[start:stop]) == text_size(plain[start:stop])


@pytest.mark.parametrize(
    "ask",
    [
        lambda tables: tables["contract_data"],
        lambda tables: tables.get("contract_data"),
        lambda tables: dict(tables)["contract_data"],
        lambda tables: {**tables}["contract_data"],
        lambda tables: tables.copy()["contract_data"],
        lambda tables: dict(tables.items())["contract_data"],
        lambda tables: next(iter(tables.values())),
        lambda tables: tables.pop("contract_data"),
        lambda tables: tables.popitem()[1],
        lambda tables: tables.setdefault("contract_data", None),
        lambda tables: (tables | {})["contract_data"],
        lambda tables: ({"ledgers": None} | tables)["contract_data"],
        lambda tables: copy.copy(tables)["contract_data"],
    ],
)
def test_rows_of_the_core_are_pyarrow_s_however_they_are_asked_for(
    chunk: LedgerChunk, ask: Callable[[dict[str, pa.RecordBatch]], pa.RecordBatch]
) -> None:
    made = Decoder(["contract_data"], network="synthetic", dictionaries=True)(chunk)
    assert not isinstance(as_made(made.tables, "contract_data"), pa.RecordBatch)
    count = as_made(made.tables, "contract_data").num_rows
    rows = ask(made.tables)
    assert isinstance(rows, pa.RecordBatch)
    assert rows.num_rows == count > 0
    assert made.tables.get("ledgers") is None
    assert made.tables.pop("ledgers", None) is None


def test_rows_of_the_core_are_equal_to_pyarrow_s(chunk: LedgerChunk) -> None:
    decoder = Decoder(["contract_data"], network="synthetic", dictionaries=True)
    asked = dict(decoder(chunk).tables)
    assert decoder(chunk).tables == asked
    assert not decoder(chunk).tables != asked  # noqa: SIM202  both are asked


def test_rows_that_an_expression_computes_are_plain(chunk: LedgerChunk) -> None:
    rows = decoded(chunk, dictionaries=True, where="ledger_sequence % 2 = 1").tables
    assert not any(is_coded(batch.schema) for batch in rows.values())


def test_parquet_files_of_dictionaries_and_of_plain_texts_are_the_same_bytes(
    chunk: LedgerChunk, tmp_path: Path
) -> None:
    files = []
    for dictionaries in (False, True):
        folder = tmp_path / str(dictionaries)
        sink = FileSink(folder, KEPT, format=Parquet(), network="synthetic")
        sink.write(decoded(chunk, dictionaries=dictionaries))
        sink.commit()
        sink.close()
        files.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")})
    assert len(files[0]) == len(KEPT)
    assert files[0] == files[1]


class Noting:
    """A sink that notes the schemas it is given."""

    def __init__(self) -> None:
        self.seen: dict[str, pa.Schema] = {}

    def write(self, batch: LedgerBatch) -> None:
        self.seen.update({name: rows.schema for name, rows in batch.tables.items()})

    def commit(self) -> None:
        pass

    def coverage(self) -> LedgerSet:
        return LedgerSet()

    def close(self) -> None:
        pass


class Taking(Noting):
    """One that takes dictionaries, as files of Parquet do."""

    takes_dictionaries = True


@pytest.mark.parametrize("beside", [False, True])
def test_only_sinks_that_take_dictionaries_get_them_and_only_where_all_do(
    chunk: LedgerChunk, tmp_path: Path, beside: bool
) -> None:
    (tmp_path / "ledgers.xdr").write_bytes(chunk.data)
    taking, other = Taking(), Noting()
    sinks = [taking, other] if beside else [taking]
    sa.run(FileSource(tmp_path / "ledgers.xdr"), tables=KEPT, sinks=sinks, network="synthetic")
    assert {name for name, schema in taking.seen.items() if is_coded(schema)} == (
        set() if beside else {"contract_data", "contract_events", "token_transfers"}
    )
    assert not any(map(is_coded, other.seen.values()))
