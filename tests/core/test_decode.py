from __future__ import annotations

import threading

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.framing import frame, framing, opened, sequences, split
from stellarrow.core.projection import Batches

ISSUER = "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2H"


@pytest.fixture
def stream(ledgers: tuple[bytes, ...]) -> bytes:
    return frame(ledgers, "record-marked")


def test_tables_come_back_under_the_names_they_were_asked_by(stream: bytes) -> None:
    batches = sa.decode(stream, ["ledgers", "contract_data@1.0"], network="synthetic")
    assert list(batches) == ["ledgers", "contract_data@1.0"]
    assert batches["ledgers"].column("ledger_sequence").to_pylist() == list(range(100, 140))
    assert batches["contract_data@1.0"].schema == sa.schema("contract_data@1.0")


def test_a_table_is_found_under_its_other_name(stream: bytes) -> None:
    batches = sa.decode(stream, ["contract_data", "ledgers@1.0"], network="synthetic")
    assert batches["contract_data@2.0"] is batches["contract_data"]
    assert batches["ledgers"] is batches["ledgers@1.0"]
    with pytest.raises(KeyError):
        batches["contract_data@1.0"]


def test_both_versions_of_a_table_come_from_one_call(stream: bytes) -> None:
    batches = sa.decode(stream, ["contract_data@1.0", "contract_data@2.0"], network="synthetic")
    assert batches["contract_data@1.0"].num_rows == batches["contract_data@2.0"].num_rows > 0


def test_a_range_decodes_only_its_ledgers(stream: bytes) -> None:
    batches = sa.decode(stream, ["ledgers"], network="synthetic", ledgers=sa.LedgerRange(110, 112))
    assert batches["ledgers"].column("ledger_sequence").to_pylist() == [110, 111, 112]
    following = sa.decode(stream, ["ledgers"], network="synthetic", ledgers=sa.LedgerRange(137))
    assert following["ledgers"].column("ledger_sequence").to_pylist() == [137, 138, 139]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, pa.py_buffer])
def test_anything_bytes_like_is_taken(stream: bytes, kind: type) -> None:
    assert sa.decode(kind(stream), ["ledgers"], network="synthetic")["ledgers"].num_rows == 40


def test_a_path_in_place_of_bytes_is_explained() -> None:
    with pytest.raises(sa.ConfigError, match="read the file first"):
        sa.decode("ledgers.xdr", ["ledgers"])


def test_tables_in_place_of_a_list_are_explained(stream: bytes) -> None:
    with pytest.raises(sa.ConfigError, match="give a list"):
        sa.decode(stream, "ledgers", network="synthetic")


@pytest.mark.parametrize("name", ["contract_dta", "contract_data@3.0", "contract_event"])
def test_an_unknown_table_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(sa.ConfigError, match="did you mean 'contract_"):
        sa.schema(name)


def test_a_bad_contract_id_is_a_config_error(stream: bytes) -> None:
    where = sa.Filter(contract_ids=["CABC"])
    with pytest.raises(sa.ConfigError, match="CABC"):
        sa.decode(stream, ["ledgers"], network="synthetic", where=where)


def test_a_bad_framing_is_a_config_error(stream: bytes) -> None:
    with pytest.raises(sa.ConfigError, match="base65"):
        sa.decode(stream, ["ledgers"], network="synthetic", framing="base65")


def test_a_single_text_is_no_filter_list() -> None:
    with pytest.raises(sa.ConfigError, match="give a list"):
        sa.Filter(contract_ids="CABC")


def test_filters_that_keep_the_same_rows_read_the_same() -> None:
    one = sa.Filter(asset_codes=["USDC", "EURC"], asset_issuers=[ISSUER])
    other = sa.Filter(asset_issuers=(ISSUER, ISSUER), asset_codes=("EURC", "USDC"))
    assert str(one) == str(other) != str(sa.Filter()) == ""
    assert str(sa.Filter(include_deleted=False)) == '{"include_deleted": false}'


def test_another_network_is_a_network_mismatch(stream: bytes) -> None:
    with pytest.raises(sa.NetworkMismatch):
        sa.decode(stream, ["ledgers"], network="pubnet")


def test_a_truncated_stream_is_a_decode_error_with_its_place(stream: bytes) -> None:
    with pytest.raises(sa.DecodeError) as caught:
        sa.decode(stream[:-10], ["contract_data"], network="synthetic")
    assert caught.value.offset is not None


def test_ledgers_that_do_not_link_break_the_chain(ledgers: tuple[bytes, ...]) -> None:
    gappy = frame([ledgers[0], ledgers[2]], "record-marked")
    with pytest.raises(sa.ChainBroken, match="102"):
        sa.decode(gappy, ["ledgers"], network="synthetic")
    batches = sa.decode(gappy, ["ledgers"], network="synthetic", verify_chain=False)
    assert batches["ledgers"].column("ledger_sequence").to_pylist() == [100, 102]


def test_a_decoder_returns_the_rows_and_the_run(stream: bytes, ledgers: tuple[bytes, ...]) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    batch = decoder(sa.LedgerChunk(stream, "auto", 105, 107, "here"))
    hashes = batch.tables["ledgers"].column("ledger_hash").to_pylist()
    assert (batch.first, batch.last, batch.run.count, len(hashes)) == (105, 107, 3, 3)
    assert batch.run.last_hash == hashes[-1]
    assert batch.run.size_bytes == sum(map(len, ledgers[5:8]))


def test_a_decoder_refuses_a_chunk_that_is_not_what_it_says(stream: bytes) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    with pytest.raises(sa.SourceError, match="here should hold"):
        decoder(sa.LedgerChunk(stream, "auto", 139, 141, "here"))


def test_a_decoder_names_the_place_of_bad_bytes(stream: bytes) -> None:
    decoder = sa.Decoder(["ledgers"], network="synthetic")
    with pytest.raises(sa.DecodeError, match=r"^here: "):
        decoder(sa.LedgerChunk(stream[:-10], "auto", 100, 139, "here"))


def test_threads_decode_at_once_and_alike(stream: bytes) -> None:
    seen: list[Batches] = []
    threads = [
        threading.Thread(
            target=lambda: seen.append(sa.decode(stream, ["contract_data"], network="synthetic"))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert all(one == seen[0] for one in seen)


def test_sequences_lie_in_stored_order(ledgers: tuple[bytes, ...]) -> None:
    assert sequences(frame([ledgers[3], ledgers[1]], "record-marked")) == [103, 101]


@pytest.mark.parametrize("kind", ["batch", "record-marked", "base64-lines"])
@pytest.mark.parametrize("level", [None, 1])
def test_a_framing_is_recognised_and_decodes(
    ledgers: tuple[bytes, ...], kind: str, level: int | None
) -> None:
    framed = frame(ledgers, kind, compression_level=level)
    assert framing(framed) == kind
    assert sequences(framed) == list(range(100, 140))


@pytest.mark.parametrize("kind", ["batch", "record-marked", "base64-lines"])
@pytest.mark.parametrize("level", [None, 1])
def test_a_split_stream_loses_nothing(ledgers: tuple[bytes, ...], kind: str, level: int | None) -> None:
    framed = frame(ledgers, kind, compression_level=level)
    blocks = (framed[at : at + 1_000] for at in range(0, len(framed), 1_000))
    pieces = list(split(blocks, piece_bytes=20_000))
    assert len(pieces) > 1
    assert [one for piece, kind in pieces for one in sequences(piece, kind)] == list(range(100, 140))


@pytest.mark.parametrize("kind", ["batch", "record-marked", "base64-lines"])
@pytest.mark.parametrize("level", [None, 1])
def test_ledgers_lie_in_their_opened_chunk_where_they_are_decoded_from(
    ledgers: tuple[bytes, ...], kind: str, level: int | None
) -> None:
    framed = frame(ledgers, kind, compression_level=level)
    chunk, held = opened(sa.LedgerChunk(framed, "auto", 103, 112, "here"))
    assert [*map(bytes, held)] == [*ledgers[3:13]]
    whole = pa.py_buffer(chunk.data)
    assert all(whole.address <= one.address < whole.address + whole.size for one in map(pa.py_buffer, held))
    assert sequences(chunk.data, chunk.framing) == list(range(100, 140))


def test_a_single_ledger_that_is_compressed_is_opened(ledgers: tuple[bytes, ...]) -> None:
    data = frame(ledgers[:1], "single", compression_level=1)
    chunk, held = opened(sa.LedgerChunk(data, "single", 100, 100, "here"))
    assert [bytes(chunk.data), *map(bytes, held)] == [ledgers[0]] * 2


def test_a_chunk_that_is_broken_is_a_decode_error_that_names_the_place(ledgers: tuple[bytes, ...]) -> None:
    data = frame(ledgers, "batch", compression_level=1)[:-20]
    with pytest.raises(sa.DecodeError, match=r"^here: "):
        opened(sa.LedgerChunk(data, "auto", 100, 139, "here"))


def test_a_cut_stream_is_a_decode_error_that_names_the_place(stream: bytes) -> None:
    with pytest.raises(sa.DecodeError, match=r"^pipe: "):
        list(split([stream[:-10]], piece_bytes=1_000, place="pipe"))


def test_synth_makes_the_same_bytes_from_the_same_seed() -> None:
    assert sa.synth(5, 10, seed=3, ledger_bytes=4_096) == sa.synth(5, 10, seed=3, ledger_bytes=4_096)
    assert sa.synth(5, 10, seed=3, ledger_bytes=4_096) != sa.synth(5, 10, seed=4, ledger_bytes=4_096)


def test_every_table_has_a_versioned_schema_and_a_key() -> None:
    for table in sa.tables():
        schema = sa.schema(str(table))
        assert schema.metadata[b"schema_type"].decode() == table.name
        assert schema.metadata[b"schema_version"].decode() == table.version
        assert set(sa.keys(str(table))) <= set(schema.names)
        assert all(b"description" in field.metadata for field in schema)
