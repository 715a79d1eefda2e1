from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.core.contract import spec_json
from stellarrow.core.strkey import CONTRACT, encode

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


CONTENTS = {
    "it is not WebAssembly": (b"", b"junk"),
    "has no contractspecv0 section": (wasm(), wasm((b"contractmetav0", b""))),
    "is cut short": (
        wasm((b"contractspecv0", PING[:-1])),
        wasm((b"contractspecv0", b"no interface at all")),
        wasm((b"contractspecv0", PING))[:-1],
    ),
    "is newer than this stellarrow": (
        wasm((b"contractspecv0", PING + b"\0\0\0\x06")),
        wasm((b"contractspecv0", PING[:-8] + b"\0\0\0\1" + b"\0" * 4 + b"\0\0\0\1a\0\0\0" + b"\0\0\0\x15")),
    ),
}


@pytest.mark.parametrize(
    ("words", "content"), [(words, content) for words, contents in CONTENTS.items() for content in contents]
)
def test_why_code_has_no_interface_to_show_is_told(
    stellarrow: Run, tmp_path: Path, words: str, content: bytes
) -> None:
    file = tmp_path / "odd.wasm"
    file.write_bytes(content)
    done = stellarrow("contract", file)
    assert (done.code, done.out) == (1, "")
    assert [one for one in CONTENTS if one in done.err] == [words]


def test_what_is_neither_file_nor_contract_is_told(stellarrow: Run) -> None:
    assert "neither a file nor a contract id" in stellarrow("contract", "nope").err


def test_a_contract_nobody_extracted_is_told(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("contract", encode(bytes(32), CONTRACT), "--data", tmp_path)
    assert done.code == 1
    assert "no instance of" in done.err


def test_of_a_contract_whose_instance_is_not_there_the_rest_is_told(
    stellarrow: Run, make_lake: Callable[..., Path]
) -> None:
    contract = "CDLZFC3SYJYDZT7K67VZ75HPJVIEUVNIXF47ZG2FB2RMQQVU2HHGCYSC"
    done = stellarrow("contract", contract, "--source", make_lake())
    assert done.code == 0
    assert "//   not known: the contract's instance is not in these ledgers" in done.out
    assert "//   no change in these ledgers" in done.out


def test_a_contract_id_that_is_mistyped_is_refused(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("contract", f"C{'A' * 55}", "--data", tmp_path)
    assert (done.code, "neither a file nor a contract id" in done.err) == (2, True)


PLACES = (
    "parquet:a",
    "parquet:a?partition=contract_id",
    "parquet:a?partition=date",
    "jsonl:a?codec=zstd",
    "csv:a",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_contract_is_found_in_an_extract_of_any_layout(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = sa.synth(ledgers=10, seed=35, first=2, ledger_bytes=100_000)
    (tmp_path / "made.xdr").write_bytes(made)
    asked = ("--network", "synthetic", "--tables", "contract_data,contract_code", "--decoded")
    assert stellarrow("extract", "made.xdr", *asked, "--to", place).code == 0
    rows = sa.decode(made, ["contract_data"], network="synthetic")["contract_data"].to_pylist()
    deployed = {row["contract_id"] for row in rows if row["contract_instance_type"] == "wasm"}
    assert deployed
    for contract in sorted(deployed)[:3]:
        done = stellarrow("contract", contract, "--data", "a")
        assert (done.code, done.err) == (0, "")
        assert "fn transfer(from: address, to: address, amount: i128)" in done.out
    asset = next(row["contract_id"] for row in rows if row["contract_instance_type"] == "stellar_asset")
    assert "is a Stellar Asset Contract" in stellarrow("contract", asset, "--data", "a").err


def test_code_extracted_without_its_bytes_is_told(stellarrow: Run, tmp_path: Path) -> None:
    made = sa.synth(ledgers=10, seed=35, first=2, ledger_bytes=100_000)
    (tmp_path / "made.xdr").write_bytes(made)
    asked = ("--network", "synthetic", "--tables", "contract_data,contract_code")
    assert stellarrow("extract", tmp_path / "made.xdr", *asked, "--to", f"parquet:{tmp_path}/a").code == 0
    rows = sa.decode(made, ["contract_data"], network="synthetic")["contract_data"].to_pylist()
    contract = next(row["contract_id"] for row in rows if row["contract_instance_type"] == "wasm")
    done = stellarrow("contract", contract, "--data", tmp_path / "a")
    assert done.code == 1
    assert "extract contract_code with --decoded" in done.err


def test_contract_code_says_what_became_of_the_interface() -> None:
    made = sa.synth(ledgers=10, seed=35, first=2, ledger_bytes=100_000)
    decoded = sa.decode(made, ["contract_code"], network="synthetic", decoded=True)["contract_code"]
    assert set(decoded.column("spec_status").to_pylist()) == {"read"}
    assert (
        "spec_status"
        not in sa.decode(made, ["contract_code"], network="synthetic")["contract_code"].schema.names
    )


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
