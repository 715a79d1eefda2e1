"""A contract's interface (SEP-48) in words: functions, types, errors and events as readable signatures."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Final

_WIDTH: Final = 80  # columns of a terminal
_SEVERAL: Final = 2


def signatures(spec_json: str) -> Iterator[str]:
    """Yield the lines that say an interface, given as a JSON array of SCSpecEntry (XDR-JSON)."""
    for entry in json.loads(spec_json):
        ((kind, body),) = entry.items()
        for line in body["doc"].replace("\\n", "\n").splitlines():
            yield from textwrap.wrap(
                line.strip(), _WIDTH, initial_indent="/// ", subsequent_indent="/// "
            ) or ["///"]
        yield from _ENTRIES[kind](body)
        yield ""


def _function(body: dict[str, Any]) -> Iterator[str]:
    inputs = [f"{one['name']}: {type_name(one['type'])}" for one in body["inputs"]]
    outputs = "".join(f" -> {type_name(one)}" for one in body["outputs"])
    yield from _listed(f"fn {body['name']}(", inputs, f"){outputs}")


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
    params = [f"{report[one['location']]}{one['name']}: {type_name(one['type'])}" for one in body["params"]]
    topics = "".join(f" {json.dumps(topic)}" for topic in body["prefix_topics"])
    yield from _listed(
        f"event {body['name']}{topics} (", params, f") as {body['data_format'].replace('_', ' ')}"
    )


def _listed(before: str, parts: list[str], behind: str) -> Iterator[str]:
    """Say it in a line, or in a line a part where a terminal would break it."""
    line = f"{before}{', '.join(parts)}{behind}"
    if len(line) <= _WIDTH or len(parts) < _SEVERAL:
        yield line
        return
    yield before
    yield from (f"    {part}," for part in parts)
    yield behind


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
