"""Where contracts' interfaces are found: a cache, folders of code, earlier extracts, an RPC node."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.rpc import RpcNode
from stellarrow.core.strkey import CONTRACT as C
from stellarrow.core.strkey import decode
from stellarrow.core.typed import Knowledge, wasm_of
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.scanning.spec_places import learn_from
from tables.golden import PACKAGED
from typed_specs import CONTRACT, text, transfer_spec, u32

CODE = (Path(__file__).parents[1] / "data" / "wasm" / "mock_sep_41_token.wasm").read_bytes()
HASH = sha256(CODE).hexdigest()
LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
OWNER = bytes([7] * 32)
INSTANCE = u32(6) + u32(0) + u32(1) + decode(CONTRACT, C) + u32(20) + u32(1) + u32(19)
INSTANCE_KEY = u32(6) + u32(1) + decode(CONTRACT, C) + u32(20) + u32(1)
CODE_KEY = u32(7) + bytes.fromhex(HASH)
RUNS_CODE = INSTANCE + u32(0) + bytes.fromhex(HASH) + u32(0)


def put(node: RpcNode, key: bytes, data: bytes, ledger: int) -> None:
    asked, xdr = base64.b64encode(key).decode(), base64.b64encode(data).decode()
    node.entries[asked] = {"key": asked, "xdr": xdr, "lastModifiedLedgerSeq": ledger}


def code_entry(code: bytes = CODE, *, costs: bool = False) -> bytes:
    head = u32(1) + bytes(48) if costs else u32(0)  # two extension points, ten numbers
    return u32(7) + head + bytes.fromhex(HASH) + text(code)


def known_by(node: RpcNode, folder: Path) -> Knowledge:
    known = Knowledge([f"typed:{CONTRACT}"])
    learn_from(known, node.url, cache=SpecCache(folder))
    return known


@pytest.mark.parametrize("costs", [False, True])
def test_a_node_tells_what_runs_since_when_and_gives_its_code_once(
    rpc: RpcNode, tmp_path: Path, costs: bool
) -> None:
    put(rpc, INSTANCE_KEY, RUNS_CODE, 120)
    put(rpc, CODE_KEY, code_entry(costs=costs), 90)
    known = known_by(rpc, tmp_path)
    assert (known.history(CONTRACT), known.missing()) == ([(120, HASH)], [])
    asked = len(rpc.asked)
    assert known_by(rpc, tmp_path).missing() == []
    assert len(rpc.asked) == asked + 1  # the instance, as it may have changed; not the code


def test_a_node_is_asked_for_the_code_that_another_contract_names(rpc: RpcNode, tmp_path: Path) -> None:
    tag = u32(22) + text(b"vault")
    named = u32(6) + u32(0) + u32(1) + OWNER + tag + u32(1) + u32(13) + u32(32) + bytes.fromhex(HASH)
    put(rpc, INSTANCE_KEY, INSTANCE + u32(2) + u32(1) + OWNER + text(b"vault") + u32(0), 120)
    put(rpc, u32(6) + u32(1) + OWNER + tag + u32(1), named, 130)
    put(rpc, CODE_KEY, code_entry(), 90)
    known = known_by(rpc, tmp_path)
    assert (known.history(CONTRACT), known.missing()) == ([(130, HASH)], [])


def test_an_assets_contract_and_one_that_is_not_there_are_told_apart(rpc: RpcNode, tmp_path: Path) -> None:
    assert known_by(rpc, tmp_path).history(CONTRACT) == []
    put(rpc, INSTANCE_KEY, INSTANCE + u32(1) + u32(0), 7)
    assert known_by(rpc, tmp_path).history(CONTRACT) == [(7, None)]


@pytest.mark.parametrize("entry", [code_entry(CODE + b"\0"), code_entry()[:-9], u32(6), b""])
def test_code_that_is_not_what_was_asked_for_is_refused(rpc: RpcNode, tmp_path: Path, entry: bytes) -> None:
    put(rpc, INSTANCE_KEY, RUNS_CODE, 120)
    put(rpc, CODE_KEY, entry, 90)
    with pytest.raises(sa.SourceError, match=r"the code \w+ is not what it should be: ask another node"):
        known_by(rpc, tmp_path)


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sa.ConfigError, match=r"--specs is .*nowhere: name a folder of \.wasm files"):
        learn_from(Knowledge([f"typed:{CONTRACT}"]), str(tmp_path / "nowhere"), cache=SpecCache(tmp_path))


def test_what_a_cache_holds_is_compared_and_thrown_away_where_it_is_something_else(tmp_path: Path) -> None:
    cache = SpecCache(tmp_path)
    assert cache.get(HASH) is None
    assert (cache.put(CODE), cache.get(HASH)) == (HASH, CODE)
    (file,) = tmp_path.iterdir()
    file.write_bytes(CODE[:-1] + b"x")
    assert cache.get(HASH) is None
    assert not file.exists()
    cache.put(CODE)
    assert cache.get(HASH) == CODE


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_plain_file_in_a_cache_is_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "real").write_bytes(CODE)
    path = tmp_path / "cache" / f"{HASH}.wasm"
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(tmp_path / "real")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert SpecCache(tmp_path / "cache").get(HASH) is None
    assert (tmp_path / "real").read_bytes() == CODE


def test_a_cache_is_bounded_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = SpecCache(tmp_path, most_bytes=3_000)
    hashes = [cache.put(bytes([number]) * 1_000) for number in range(3)]
    for age, hash in enumerate(hashes):
        os.utime(tmp_path / f"{hash}.wasm", (age, age))
    assert cache.get(hashes[0])  # used just now
    hashes.append(cache.put(b"x" * 1_000))
    assert [cache.get(hash) is not None for hash in hashes] == [True, False, True, True]


def _fill(folder: Path) -> None:
    for number in range(50):
        SpecCache(folder, most_bytes=20_000).put(bytes([number]) * 1_000)


@pytest.mark.slow
def test_writers_side_by_side_of_whom_one_is_killed_leave_only_whole_files(tmp_path: Path) -> None:
    writers = [get_context("spawn").Process(target=_fill, args=(tmp_path,)) for _ in range(3)]
    for one in writers:
        one.start()
    writers[0].kill()  # wherever it is
    for one in writers:
        one.join()
    files = [one for one in tmp_path.iterdir() if one.suffix == ".wasm"]
    assert files
    assert all(sha256(one.read_bytes()).hexdigest() == one.stem for one in files)


def test_a_cache_that_cannot_be_written_keeps_nothing_and_fails_no_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = SpecCache(tmp_path / "file" / "below")
    assert (cache.put(CODE), cache.get(HASH)) == (HASH, None)


def test_code_that_was_found_earlier_is_known_to_all_that_read_ledgers() -> None:
    code = wasm_of(transfer_spec("i128"))
    SpecCache().put(code)
    tables = sa.typed(sha256(code).hexdigest(), LEDGER, network="pubnet")
    assert "events/Transfer" in tables


def test_state_is_a_table_by_its_name_of_ledgers_of_files_and_in_sql(
    make_lake: Callable[..., Path], tmp_path: Path, stellarrow: Callable[..., tuple[int, str, str]]
) -> None:
    lake, out = make_lake(100, 110), tmp_path / "out"
    rows = sa.scan(lake, table="contract_data").to_table()
    counted = rows.group_by("contract_id").aggregate([([], "count_all")])
    contract = counted.sort_by([("count_all", "descending")]).column("contract_id")[0].as_py()
    specs = {contract: "stellar-asset"}
    sa.run(lake, tables=[f"typed:{contract}/storage"], sinks=f"parquet:{out}", specs=specs)
    name = f"typed:{contract}/state/Balance"
    state = sa.scan(lake, table=name, specs=specs).to_table()
    kept = sa.scan(out, table=name).to_table()
    assert state.num_rows
    assert kept.sort_by("key_xdr").to_pylist() == state.sort_by("key_xdr").to_pylist()
    query = "select count(*) from typed.coin_state_Balance"
    code, told, error = stellarrow("sql", query, "--data", out, "--csv", "--name", f"coin={contract}")
    assert (code, told.split()[1:]) == (0, [str(state.num_rows)]), error
    with pytest.raises(sa.ConfigError, match="is made of changes when it is read: name typed:"):
        sa.run(lake, tables=[name], sinks=f"parquet:{out}", specs=specs)
