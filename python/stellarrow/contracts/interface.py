"""A contract's interface (SEP-48) in words: functions, types, errors and events as readable signatures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def signatures(spec_json: str) -> Iterator[str]:
    """Yield the lines that say an interface, given as a JSON array of SCSpecEntry (XDR-JSON)."""
    for entry in json.loads(spec_json):
        ((kind, body),) = entry.items()
        for line in body["doc"].replace("\\n", "\n").splitlines():
            yield f"/// {line.strip()}"
        yield from _ENTRIES[kind](body)
        yield ""


def _function(body: dict[str, Any]) -> Iterator[str]:
    inputs = ", ".join(f"{one['name']}: {type_name(one['type'])}" for one in body["inputs"])
    outputs = "".join(f" -> {type_name(one)}" for one in body["outputs"])
    yield f"fn {body['name']}({inputs}){outputs}"


def _struct(body: dict[str, Any]) -> Iterator[str]:
    yield f"struct {body['name']} {{"
    yield from (f"    {one['name']}: {type_name(one['type'])}," for one in body["fields"])
    yield "}"


def _union(body: dict[str, Any]) -> Iterator[str]:
    yield f"union {body['name']} {{"
    for case in body["cases"]:
        ((_, one),) = case.items()
        types = ", ".join(map(type_name, one.get("type", ())))
        yield f"    {one['name']}({types})," if types else f"    {one['name']},"
    yield "}"


def _enum(body: dict[str, Any], word: str = "enum") -> Iterator[str]:
    yield f"{word} {body['name']} {{"
    yield from (f"    {one['name']} = {one['value']}," for one in body["cases"])
    yield "}"


def _event(body: dict[str, Any]) -> Iterator[str]:
    report = {"topic_list": "topic ", "data": ""}
    params = ", ".join(
        f"{report[one['location']]}{one['name']}: {type_name(one['type'])}" for one in body["params"]
    )
    topics = "".join(f" {json.dumps(topic)}" for topic in body["prefix_topics"])
    yield f"event {body['name']}{topics} ({params}) as {body['data_format'].replace('_', ' ')}"


_ENTRIES = {
    "function_v0": _function,
    "udt_struct_v0": _struct,
    "udt_union_v0": _union,
    "udt_enum_v0": _enum,
    "udt_error_enum_v0": lambda body: _enum(body, "error"),
    "event_v0": _event,
}


def type_name(spec: str | dict[str, Any]) -> str:
    """Say an SCSpecTypeDef, such as `Map<address, i128>`."""
    if isinstance(spec, str):
        return spec
    ((kind, body),) = spec.items()
    match kind:
        case "option":
            return f"Option<{type_name(body['value_type'])}>"
        case "result":
            return f"Result<{type_name(body['ok_type'])}, {type_name(body['error_type'])}>"
        case "vec":
            return f"Vec<{type_name(body['element_type'])}>"
        case "map":
            return f"Map<{type_name(body['key_type'])}, {type_name(body['value_type'])}>"
        case "tuple":
            return f"({', '.join(map(type_name, body['value_types']))})"
        case "bytes_n":
            return f"BytesN<{body['n']}>"
        case _:
            return str(body["name"])
