"""What tokens are called, and their amounts with decimals: from contracts' own metadata, exactly."""

from __future__ import annotations

import base64
import json
import random
from decimal import Context
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.enrichment.instance import Token, token_of
from stellarrow.enrichment.tokens import Tokens
from stellarrow.enrichment.transfers import COLUMNS, enriched, scaled

BUNDLED = Path(sa.__file__).parent / "data" / "ledgers"
CONTRACTS = ("CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA", "C" + "A" * 55)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def text(kind: int, value: bytes) -> bytes:
    return number(kind) + number(len(value)) + value + b"\0" * (-len(value) % 4)


def entries(*pairs: tuple[bytes, bytes]) -> bytes:
    """Write an optional SCMap."""
    return number(1) + number(len(pairs)) + b"".join(key + value for key, value in pairs)


def symbol(name: bytes) -> bytes:
    return text(15, name)


def metadata(decimals: int, name: bytes, code: bytes) -> tuple[bytes, bytes]:
    held = entries(
        (symbol(b"decimal"), number(3) + number(decimals)),
        (symbol(b"name"), text(14, name)),
        (symbol(b"symbol"), text(14, code)),
    )
    return symbol(b"METADATA"), number(17) + held


def instance(*storage: tuple[bytes, bytes]) -> str:
    """Write the instance of a contract that runs code, with other values before its own."""
    others = (
        (symbol(b"A"), number(17) + entries((number(1), number(16) + number(1) + number(2) + number(1) * 2))),
        (symbol(b"B"), number(18) + number(0) + bytes(36)),
        (symbol(b"C"), number(10) + bytes(16)),
        (symbol(b"D"), text(13, b"x" + b"".join(metadata(9, b"not this", b"NOT")))),
    )
    data = number(19) + number(0) + bytes(32) + entries(*others, *storage)
    return base64.b64encode(data).decode()


def test_metadata_is_what_lies_under_its_symbol_and_nothing_else() -> None:
    assert token_of(instance(metadata(18, b"Some Token", b"SOME"))) == Token(18, "Some Token", "SOME")
    assert token_of(instance()) is None  # bytes of a value that look alike are no metadata
    odd = token_of(instance(metadata(7, b"a\\b\0c\xff", "é".encode())))
    assert odd == Token(7, "a\\\\b\\0c\\xff", "é")
    assert token_of(instance((symbol(b"METADATA"), number(1)))) is None
    assert token_of(instance((symbol(b"METADATA"), number(17) + entries()))) == Token()


@given(data=st.binary(max_size=200), at=st.integers(0, 400), to=st.integers(0, 255))
def test_any_bytes_are_taken(data: bytes, at: int, to: int) -> None:
    token_of(base64.b64encode(data).decode())
    sound = bytearray(base64.b64decode(instance(metadata(18, b"Some Token", b"SOME"))))
    sound[at % len(sound)] = to
    token_of(base64.b64encode(sound).decode())
    assert token_of("not base64!") is None


def test_values_nested_deep_and_long_names_are_not_followed() -> None:
    deep = (number(16) + number(1) + number(1)) * 5_000 + number(1)
    assert token_of(instance((symbol(b"X"), deep), metadata(7, b"n", b"s"))) is None
    assert token_of(instance(metadata(7, b"n" * 2_000, b"s"))) == Token(7, None, "s")


@pytest.mark.parametrize(("name", "count"), [("testnet-10047", 39), ("futurenet-247487", 45)])
def test_every_token_of_a_whole_network_is_read(shared: Path, name: str, count: int) -> None:
    path = shared / "golden" / "snapshot" / name / "contract_data.jsonl.zst"
    with pa.input_stream(path, compression="zstd") as lines:
        rows = [json.loads(line) for line in lines.read().splitlines()]
    found = [token for row in rows if (token := token_of(row["val_xdr"]))]
    assert len(found) == count
    assert all(token.name is not None and token.symbol is not None for token in found)
    assert sum(token.decimals is None for token in found) <= 2  # which call it otherwise


def rows_of(*said: tuple[int, str, bool, str]) -> pa.RecordBatch:
    ledgers, contracts, deleted, values = zip(*said, strict=True)
    return pa.record_batch(
        {
            "contract_id": list(contracts),
            "contract_key_type": ["ScValTypeScvLedgerKeyContractInstance"] * len(said),
            "ledger_sequence": list(ledgers),
            "deleted": list(deleted),
            "val_xdr": list(values),
        }
    )


def test_the_latest_ledger_counts_and_is_known_after_a_restart(tmp_path: Path) -> None:
    path, (one, other) = tmp_path / "tokens.sqlite3", CONTRACTS
    tokens = Tokens(path)
    old, new = instance(metadata(7, b"Old", b"O")), instance(metadata(6, b"New", b"N"))
    assert tokens.learn(rows_of((5, one, False, old), (6, one, False, new), (6, other, True, old))) == 1
    assert tokens.learn(rows_of((4, one, False, old))) == 0
    tokens.close()
    again = Tokens(path)
    assert (again.get(one), again.get(other)) == (Token(6, "New", "N"), None)
    again.close()
    path.write_bytes(b"damaged" * 1_000)
    for beside in tmp_path.glob("tokens.sqlite3-*"):
        beside.unlink()
    anew = Tokens(path)
    assert anew.get(one) is None
    assert anew.learn(rows_of((6, one, False, new))) == 1
    anew.close()


def test_what_is_saved_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path, (one, other) = tmp_path / "tokens.sqlite3", CONTRACTS
    tokens = Tokens(path)
    tokens.learn(rows_of((5, one, False, instance(metadata(7, b"One", b"O")))))
    tokens.save()
    tokens.learn(rows_of((6, other, False, instance(metadata(6, b"Other", b"T")))))
    after_a_kill = Tokens(path)
    assert (after_a_kill.get(one), after_a_kill.get(other)) == (Token(7, "One", "O"), None)
    tokens.save()
    assert Tokens(path).get(other) == Token(6, "Other", "T")


@given(amounts=st.lists(st.integers(-(10**39), 10**39), min_size=1), decimals=st.integers(0, 76))
def test_amounts_are_scaled_exactly(amounts: list[int], decimals: int) -> None:
    made = scaled(pa.array(list(map(str, amounts))), decimals).to_pylist()
    context = Context(prec=200)
    assert made == [f"{context.scaleb(context.create_decimal(one), -decimals):f}" for one in amounts]


def transfers(name: str) -> pa.RecordBatch:
    return sa.decode((BUNDLED / name).read_bytes(), ["token_transfers"])["token_transfers"]


@pytest.mark.parametrize("name", ["pubnet-58752000.xdr.zst", "FCD285FF--53312000.xdr.zstd"])
def test_rows_stay_as_they_are_and_say_what_is_known(name: str) -> None:
    rows = transfers(name)
    tokens = Tokens()
    made = enriched(rows, tokens)
    made.validate(full=True)
    added = [field.name for field in COLUMNS]
    assert made.select(rows.schema.names).equals(rows)
    for row in made.to_pylist():
        said = [row[column] for column in added]
        if row["asset_type"] == "native":
            assert said[:3] == [7, "XLM", "XLM"]
        elif row["asset_type"] is not None:
            assert said[:3] == [7, f"{row['asset_code']}:{row['asset_issuer']}", row["asset_code"]]
        else:
            assert said == [None] * 4
            continue
        assert int(row["amount"].replace(".", "")) == int(row["amount_text"])
        assert row["amount"][-8] == "."


def test_tokens_of_their_own_have_their_own_decimals() -> None:
    rows = sa.decode((BUNDLED / "pubnet-58752000.xdr.zst").read_bytes(), ["token_transfers"])[
        "token_transfers"
    ]
    dice = random.Random(5)  # noqa: S311
    kinds = [dice.choice([None, "native"]) for _ in range(rows.num_rows)]
    at = rows.schema.get_field_index("asset_type")
    mixed = rows.set_column(at, rows.schema.field(at), pa.array(kinds, pa.string()))
    tokens = Tokens()
    (lumens,) = {row["contract_id"] for row in rows.to_pylist() if row["asset_type"] == "native"}
    assert tokens.learn(rows_of((1, lumens, False, instance(metadata(2, b"Two", b"TWO"))))) == 1
    for row in enriched(mixed, tokens).to_pylist():
        if row["asset_type"] == "native":
            assert row["asset_symbol"] == "XLM"
        elif row["contract_id"] == lumens:
            assert (row["asset_decimals"], row["asset_symbol"]) == (2, "TWO")
            assert row["amount"][-3] == "."
        else:
            assert row["amount"] is None


def test_decimals_without_bound_make_no_amount() -> None:
    tokens = Tokens()
    rows = sa.decode((BUNDLED / "pubnet-58752000.xdr.zst").read_bytes(), ["token_transfers"])[
        "token_transfers"
    ]
    at = rows.schema.get_field_index("asset_type")
    custom = rows.set_column(at, rows.schema.field(at), pa.nulls(rows.num_rows, pa.string()))
    contract = custom.column("contract_id")[0].as_py()
    tokens.learn(rows_of((1, contract, False, instance(metadata(4_000_000_000, b"Big", b"BIG")))))
    row = enriched(custom, tokens).to_pylist()[0]
    assert (row["asset_decimals"], row["asset_name"], row["amount"]) == (4_000_000_000, "Big", None)
