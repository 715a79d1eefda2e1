"""Interfaces in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stellarrow.contracts.interface import signatures, type_name


def said(kind: str, **body: Any) -> str:
    entry = {kind: {"doc": "", "lib": "", "name": "Thing", **body}}
    return "\n".join(signatures(json.dumps([entry]))).rstrip()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("i128", "i128"),
        ({"option": {"value_type": {"bytes_n": {"n": 32}}}}, "Option<BytesN<32>>"),
        ({"result": {"ok_type": "void", "error_type": "error"}}, "Result<void, error>"),
        ({"map": {"key_type": "u64", "value_type": {"vec": {"element_type": "u32"}}}}, "Map<u64, Vec<u32>>"),
        ({"tuple": {"value_types": ["u32", {"udt": {"name": "Deal"}}]}}, "(u32, Deal)"),
    ],
)
def test_types_read_like_a_language(spec: Any, words: str) -> None:
    assert type_name(spec) == words


def test_a_function_shows_its_doc_inputs_and_output() -> None:
    inputs = [{"doc": "", "name": "to", "type": "address"}, {"doc": "", "name": "amount", "type": "i128"}]
    answer = said("function_v0", doc="Move it.\\nAt once.", inputs=inputs, outputs=["bool"])
    assert answer == "/// Move it.\n/// At once.\nfn Thing(to: address, amount: i128) -> bool"


def test_what_is_longer_than_a_terminal_is_wide_is_broken_where_it_reads_well() -> None:
    names = [f"{name}_of_the_pool" for name in ("owner", "token", "heir")]
    inputs = [{"doc": "", "name": name, "type": "address"} for name in names]
    answer = said("function_v0", doc="Move " + "it and " * 20, inputs=inputs, outputs=["bool"])
    assert max(map(len, answer.splitlines())) <= 80
    listed = [f"    {name}: address," for name in names]
    assert answer.splitlines()[-5:] == ["fn Thing(", *listed, ") -> bool"]


def test_unions_show_cases_with_and_without_values() -> None:
    cases = [
        {"void_v0": {"doc": "", "name": "Admin"}},
        {"tuple_v0": {"doc": "", "name": "Of", "type": ["u32", "u64"]}},
    ]
    assert said("udt_union_v0", cases=cases) == "union Thing {\n    Admin,\n    Of(u32, u64),\n}"


def test_structs_enums_and_errors_show_their_members() -> None:
    field = {"doc": "", "name": "a", "type": "bytes"}
    case = {"doc": "", "name": "Low", "value": 3}
    assert said("udt_struct_v0", fields=[field]) == "struct Thing {\n    a: bytes,\n}"
    assert said("udt_enum_v0", cases=[case]) == "enum Thing {\n    Low = 3,\n}"
    assert said("udt_error_enum_v0", cases=[case]) == "error Thing {\n    Low = 3,\n}"


def test_an_event_shows_topics_and_format() -> None:
    params = [
        {"doc": "", "name": "from", "type": "address", "location": "topic_list"},
        {"doc": "", "name": "amount", "type": "i128", "location": "data"},
    ]
    answer = said("event_v0", prefix_topics=["moved"], params=params, data_format="single_value")
    assert answer == 'event Thing "moved" (topic from: address, amount: i128) as single value'
