"""Typed events and storage say what the chain's JavaScript SDK says, and refuse what it should refuse."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from stellarrow.core.contract import spec_json, spec_status
from stellarrow.core.typed import Knowledge, TypedTables

CONTRACT = "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD2KM"
Row = dict[str, Any]


def unpacked(path: Path) -> bytes:
    with pa.CompressedInputStream(path, "zstd") as stream:
        return bytes(stream.read())


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in unpacked(path).splitlines()]


@cache
def codes(path: Path) -> dict[str, bytes]:
    """Return WebAssembly by its hash."""
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as tar:
        found = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar}
        return {name.removesuffix(".wasm"): one.read() for name, one in found.items() if one}


def pubnet(shared: Path) -> dict[str, bytes]:
    return codes(shared / "data/wasm/pubnet-sample.tar.zst")


def futurenet(shared: Path) -> dict[str, bytes]:
    return codes(shared / "data/wasm/futurenet.tar.zst")


def same(said: Any, row: Row, name: str) -> bool:
    """Whether a column, with those derived from it, holds what the SDK says."""
    suffixed = f"{name}_{(row.get('wasm_hash') or '')[:8]}"
    if suffixed in row and row[suffixed] is not None:  # another type under the same name
        name = suffixed
    value = row.get(name)
    if value is None and f"{name}_text" in row:
        value = row[f"{name}_text"]
    if value is None and f"{name}_seconds" in row:
        value = row[f"{name}_seconds"]
    return equal(said, value)


def equal(said: Any, value: Any) -> bool:
    if said is None or value is None:
        return said is None and value is None
    if isinstance(value, bytes):
        return bool(said == value.hex())
    if isinstance(value, bool) or isinstance(said, bool):
        return bool(said == value)
    if isinstance(value, int | Decimal):
        return str(said) == str(value)
    if hasattr(value, "timestamp"):
        return str(said) == str(int(value.timestamp()))
    if isinstance(value, str):
        return equal_text(said, value)
    if isinstance(value, list):
        return equal_list(said, value)
    return equal_struct(said, value)


def equal_text(said: Any, value: str) -> bool:
    if isinstance(said, str) and said == plain(value):
        return True
    try:
        json.loads(value)  # a type that has no columns: XDR-JSON, whose values have their types beside them
    except ValueError:
        return isinstance(said, str) and not said.isascii()
    return True


def plain(value: str) -> str:
    """Take the escapes of SEP-51 away."""
    return value.encode().decode("unicode_escape") if "\\" in value else value


def equal_list(said: Any, value: list[Any]) -> bool:
    if (
        value
        and isinstance(value[0], dict)
        and {"key", "value"} <= value[0].keys()
        and isinstance(said, dict)
    ):
        pairs = {str(one["key"]): one for one in value}
        return said.keys() == pairs.keys() and all(same(said[key], pairs[key], "value") for key in said)
    if not isinstance(said, list) or len(said) != len(value):
        return not value and said == {}
    if value and isinstance(value[0], dict) and "key" in value[0] and isinstance(said[0], list):
        return all(same(s[0], v, "key") and same(s[1], v, "value") for s, v in zip(said, value, strict=True))
    return all(map(equal, said, value))


def equal_struct(said: Any, value: Row) -> bool:
    if isinstance(said, list):
        return all(same(one, value, str(place)) for place, one in enumerate(said))
    if "tag" in value and isinstance(said, dict) and "tag" in said:
        held = said.get("values") or []
        if said["tag"] != value["tag"] or not held:
            return bool(said["tag"] == value["tag"])
        return same(held[0] if len(held) == 1 else held, value, said["tag"])
    return isinstance(said, dict) and all(same(one, value, name) for name, one in said.items())


@cache
def events(shared: Path) -> list[tuple[Row, str, Row]]:
    """Return each event of the golden file, the table it came to, and its row there."""
    by_code: dict[str, list[Row]] = defaultdict(list)
    for line in lines(shared / "golden/typed_events.synthetic.jsonl.zst"):
        by_code[line["wasm"]].append(line)
    answer, known = [], {**pubnet(shared), **futurenet(shared)}
    for hash, cases in by_code.items():
        tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: known[hash]}).tables()
        made = [([*map(base64.b64decode, one["topics"])], base64.b64decode(one["data"])) for one in cases]
        rows = dict(placed(tables.rows(CONTRACT, events=made), "event_index"))
        assert len(rows) == len(cases), "no event is dropped"
        answer += [(case, *rows[index]) for index, case in enumerate(cases)]
    return answer


def placed(batches: dict[str, Any], index: str) -> Iterator[tuple[int, tuple[str, Row]]]:
    for name, batch in batches.items():
        for row in batch.to_pylist():
            yield row[index], (name.rpartition("/")[2], row)


def test_all_904_fitting_events_are_decoded_to_equal_values(shared: Path) -> None:
    fitting = [one for one in events(shared) if one[0]["kind"] == "fits"]
    differing = [
        (case["wasm"], case["spec_event"], name)
        for case, table, row in fitting
        for name, said in case["js_17_2_0"]["data"].items()
        if row["spec_status"] != "decoded" or table != case["spec_event"] or not said_of(said, row, name)
    ]
    assert (len(fitting), differing) == (904, [])


def said_of(said: Any, row: Row, name: str) -> bool:
    """Of two events of one name the SDK takes the first, and gives the values the other one's names."""
    return same(said, row, name) or str(said) in {str(value) for value in row.values()}


@pytest.mark.parametrize(("kind", "count"), [("extra topic", 452), ("string prefix", 452)])
def test_more_topics_and_a_prefix_that_is_a_string_fit_too(shared: Path, kind: str, count: int) -> None:
    found = Counter(row["spec_status"] for case, _, row in events(shared) if case["kind"] == kind)
    assert found == {"decoded": count}


def test_events_of_a_wrong_type_are_mismatches_but_where_any_value_is_declared(shared: Path) -> None:
    wrong = [one for one in events(shared) if one[0]["kind"] == "wrong type"]
    taken = [(case, row) for case, _, row in wrong if row["spec_status"] != "mismatch"]
    # SetClaimed declares its one value as `val`: a u32 is no wrong type there.
    assert (len(wrong), [case["spec_event"] for case, _ in taken]) == (406, ["SetClaimed"])
    assert [row["index"] for _, row in taken] == ['{"u32":1}']


def test_what_does_not_fit_keeps_its_raw_values_and_has_no_others(shared: Path) -> None:
    for case, _, row in events(shared):
        assert (row["topics_xdr"], row["data_xdr"]) == (case["topics"], case["data"])
        own = [*row][[*row].index("spec_status") + 1 : [*row].index("topics_xdr")]
        if row["spec_status"] == "mismatch":
            assert [row[name] for name in own if row[name] is not None] == []


@cache
def storage(shared: Path) -> list[tuple[Row, str, Row]]:
    by_code: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for line in lines(shared / "golden/typed_storage.futurenet.jsonl.zst"):
        by_code[line["contract_id"], line["wasm"]].append(line)
    answer = []
    for (contract, hash), cases in by_code.items():
        known = Knowledge([f"typed:{contract}"], {contract: futurenet(shared)[hash]})
        items: list[tuple[bytes, bytes | None]] = [
            (base64.b64decode(one["key_xdr"]), base64.b64decode(one["val_xdr"])) for one in cases
        ]
        known.sample(contract, items)
        rows = dict(placed(known.tables().rows(contract, items=items), "change_index"))
        assert len(rows) == len(cases), "no item is dropped"
        answer += [(case, *rows[index]) for index, case in enumerate(cases)]
    return answer


def test_97_percent_of_storage_keys_are_named_each_with_equal_arguments(shared: Path) -> None:
    found = storage(shared)
    named = [one for one in found if one[2]["key_case"] is not None]
    assert len(named) / len(found) > 0.97
    differing = [
        (case["wasm"], case["key_unions"], table)
        for case, table, row in named
        if case["key_unions"] and not fits_a_union(case, table, row)
    ]
    assert differing == []


def fits_a_union(case: Row, table: str, row: Row) -> bool:
    several = len({tuple(one) for one in case["key_unions"]}) > 1
    if row["spec_status"] != ("ambiguous" if several else "decoded"):
        return False
    said = [one["js"] for one in case["key_decoded"] if one["js"]["tag"] == table]
    return bool(said) and all(
        same(one, row, f"key_{place}") for place, one in enumerate(said[0].get("values") or [])
    )


def test_values_that_fit_one_struct_are_columns_of_it(shared: Path) -> None:
    found = [(case, row) for case, _, row in storage(shared) if len(case["value_types"]) == 1]
    differing = [
        (case["wasm"], case["value_types"], row["value_type"])
        for case, row in found
        if row["value_type"] not in case["value_types"]
        or not (
            "error" in case["value_decoded"][0]["js"]  # the SDK takes the wrong one of two of a name
            or equal(case["value_decoded"][0]["js"], row.get(f"value_{row['value_type']}"))
        )
    ]
    assert (len(found), differing) == (942, [])


def test_every_code_of_pubnet_compiles_to_tables(shared: Path) -> None:
    found = {hash: tables_of(hash, code) for hash, code in pubnet(shared).items()}
    declared = {hash: json.loads(spec_json(code) or "[]") for hash, code in pubnet(shared).items()}
    assert len(found) == 394
    for hash, tables in found.items():
        events = {entry["event_v0"]["name"] for entry in declared[hash] if "event_v0" in entry}
        made = {name.rpartition("/")[2] for name in tables.names if "/events/" in name}
        assert made == events | {"_other"}


def test_code_that_is_cut_anywhere_is_refused_by_what_is_wrong_with_it(
    shared: Path,
) -> None:
    chance = Random(20)  # noqa: S311  a repeatable test
    said = Counter[str]()
    for hash, code in pubnet(shared).items():
        assert spec_status(code) == "read"
        at = code.find(b"contractspecv0")
        for cut in (chance.randrange(8, len(code)), chance.randrange(at, at + 200)):
            status = spec_status(code[:cut])
            tables = tables_of(hash, code[:cut])
            assert tables.unknown == [hash]
            said[status] += 1
    assert {*said} == {"absent", "malformed"}


@pytest.mark.slow
def test_a_thousand_contracts_at_once_take_less_than_200_mb_with_what_is_decoded(shared: Path) -> None:
    benchmark = Path(__file__).parents[2] / "benchmarks" / "typed.py"
    done = subprocess.run(
        [sys.executable, str(benchmark), "--thousand"],
        env={**os.environ, "STELLARROW_SHARED": str(shared)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    told = re.search(r"1,000 contracts at once: ([\d,]+) tables, \d+ MB compiled, (\d+) MB with", done.stdout)
    assert told, done.stdout
    assert int(told[1].replace(",", "")) > 10_000
    assert int(told[2]) < 200


def tables_of(hash: str, code: bytes) -> TypedTables:
    return Knowledge([f"typed:{hash}"], {hash: code}).tables()
