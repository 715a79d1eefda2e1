from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from stellarrow.core.contract import spec_json

Run = Callable[..., Any]

COMPILED = Path(__file__).parents[1] / "data" / "wasm"

# SCSpecEntry: function_v0 "ping" without doc, inputs and outputs
PING = b"\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\x04ping" + b"\0\0\0\0" * 2


def wasm(*sections: tuple[bytes, bytes]) -> bytes:
    bodies = [bytes([len(name)]) + name + content for name, content in sections]
    return b"\0asm\1\0\0\0" + b"".join(b"\0" + bytes([len(body)]) + body for body in bodies)


def test_the_interface_of_a_wasm_file_is_printed(stellarrow: Run, tmp_path: Path) -> None:
    file = tmp_path / "ping.wasm"
    file.write_bytes(
        wasm((b"contractspecv0", PING), (b"contractmetav0", b"\0\0\0\0\0\0\0\1k\0\0\0\0\0\0\1v\0\0\0"))
    )
    assert stellarrow("contract", file) == (0, "// k: v\nfn ping()\n\n", "")


@pytest.mark.parametrize("content", [b"", b"junk", wasm((b"contractspecv0", PING[:-1])), wasm()])
def test_code_without_a_sound_interface_is_told(stellarrow: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.wasm"
    file.write_bytes(content)
    done = stellarrow("contract", file)
    assert (done.code, done.out) == (1, "")
    assert "has no interface" in done.err


def test_what_is_neither_file_nor_contract_is_told(stellarrow: Run) -> None:
    assert "neither a file nor a contract id" in stellarrow("contract", "nope").err


def test_a_contract_nobody_extracted_is_told(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("contract", f"C{'A' * 55}", "--data", tmp_path)
    assert done.code == 1
    assert "no instance of" in done.err


def test_a_contract_is_found_in_an_extract(stellarrow: Run, tmp_path: Path, shared: Path) -> None:
    data = (shared / "data/ledgers/core-tests-a.xdr.zst").read_bytes()
    tables = ["contract_data", "contract_code"]
    batches = sa.decode(data, tables, network="(V) (;,,;) (V)", verify_chain=False, decoded=True)
    for name, batch in batches.items():
        (tmp_path / name).mkdir()
        pq.write_table(pa.Table.from_batches([batch]), tmp_path / name / "0000000001-0000000002.parquet")
    instances = [row for row in batches["contract_data"].to_pylist() if row["contract_instance_wasm_hash"]]
    done = stellarrow("contract", instances[0]["contract_id"], "--data", tmp_path)
    assert done.code == 0
    assert "fn " in done.out


def test_every_real_interface_is_read(shared: Path) -> None:
    data = (shared / "data/ledgers/core-tests-a.xdr.zst").read_bytes()
    code = sa.decode(data, ["contract_code"], network="(V) (;,,;) (V)", verify_chain=False, decoded=True)
    bodies = set(code["contract_code"].column("code").to_pylist())
    assert len(bodies) == 12
    assert [body for body in bodies if spec_json(body) is None] == []


@pytest.mark.parametrize("file", sorted(COMPILED.glob("*.wasm")), ids=lambda file: file.stem)
def test_every_entry_of_a_compiled_contract_is_printed_on_lines_of_its_own(
    stellarrow: Run, file: Path
) -> None:
    entries = json.loads(spec_json(file.read_bytes()) or "")
    done = stellarrow("contract", file)
    assert (done.code, done.err) == (0, "")
    assert all(character.isprintable() or character == "\n" for character in done.out)
    heads = ("fn ", "struct ", "union ", "enum ", "error ", "event ")
    assert sum(line.startswith(heads) for line in done.out.splitlines()) == len(entries)
