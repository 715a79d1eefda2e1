"""Which module of the Rust crates may use which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CRATES = Path(__file__).parent.parent / "crates"
# The floors of each crate, lowest first. A room uses rooms of lower floors, and nothing else but itself.
# A room is a module at the crate's root, or a folder.
FLOORS = {
    "core": (
        ("xdr",),
        ("error", "fixed_text", "synth"),
        ("values",),
        ("ledger", "contract"),
        ("frame", "filter"),
        ("tables",),
        ("typed",),
        ("decode",),
    ),
    "analytics": (
        ("hashing", "columns", "coding"),
        ("distinct", "keys", "bloom"),
        ("packed",),
        ("minute",),
        ("window",),
        ("windows",),
        ("series",),
        ("contracts", "network", "transfers"),
        ("answers",),
        ("analytics",),
    ),
    "runs": (
        ("order", "sizes"),
        ("bits", "chunks", "column"),
        ("distinct",),
        ("codes", "fixed", "lists", "loose", "texts"),
        ("kinds",),
        ("gatherer",),
    ),
    "text": (("moments", "numbers", "quoting"), ("texts",), ("cells",), ("rows",)),
    "pages": (("encodings", "header"), ("hybrid", "inflate"), ("page",), ("column", "picked"), ("few",)),
    "python": (
        ("convert", "handover", "runs"),
        ("options", "streams", "figures", "text", "typed", "gathered", "pages"),
    ),
}
# A type passes over its bytes or, where they are wrong, is traced through the same methods.
CIRCLES = {
    "core": [("xdr::schema", "xdr::trace")],
    "analytics": [],
    "runs": [],
    "text": [],
    "pages": [],
    "python": [],
}
Graph = dict[str, set[str]]


def modules(crate: str) -> dict[str, str]:
    """Return the source of each module but the root, without comments and tests, by `folder::name`."""
    folder = CRATES / crate / "src"
    found = {}
    for path in folder.rglob("*.rs"):
        parts = path.relative_to(folder).with_suffix("").parts
        name = "::".join(parts[:-1] if parts[-1] == "mod" else parts)
        text = re.sub(r"//.*", "", path.read_text())
        found[name] = text.split("#[cfg(test)]")[0]
    del found["lib"]
    return found


def used(text: str) -> Iterator[str]:
    """Yield every path after `use`, and those that begin with crate or super wherever they stand."""
    for tree in re.findall(r"\buse ([^;]+);", text):
        yield from unfolded(re.sub(r"\s+", "", re.sub(r"\sas\s+\w+", "", tree)))
    yield from re.findall(r"\b(?:crate|super)(?:::\w+)+", re.sub(r"\buse [^;]+;", "", text))


def unfolded(tree: str) -> Iterator[str]:
    """Yield `a::b` and `a::c` of `a::{b, c}`."""
    head, brace, inner = tree.partition("{")
    if not brace:
        yield tree
        return
    for part in branches(inner.removesuffix("}")):
        yield from unfolded(head + part)


def branches(inner: str) -> Iterator[str]:
    depth = start = 0
    for at, char in enumerate(inner + ","):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            yield inner[start:at]
            start = at + 1


def resolved(path: str, here: str, known: dict[str, str]) -> str | None:
    """Return the module that a path in `here` leads to or into; None for other crates' and the root."""
    parts, base = path.split("::"), here.split("::")
    if parts[0] == "crate":
        parts = parts[1:]
    elif parts[0] == "super":
        ups = next(count for count, part in enumerate((*parts, "")) if part != "super")
        parts = base[:-ups] + parts[ups:]
    elif parts[0] == "self" or "::".join((*base, parts[0])) in known:
        parts = base + parts[parts[0] == "self" :]
    names = ("::".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in known), None)


def graph(known: dict[str, str]) -> Graph:
    targets = {here: {resolved(path, here, known) for path in used(text)} for here, text in known.items()}
    return {here: {name for name in names if name and name != here} for here, names in targets.items()}


def circles(left: Graph) -> Iterator[tuple[str, ...]]:
    """Yield each set of modules from every one of which all the others are reached."""
    reached = {name: reach(left, name) for name in left}
    seen: set[str] = set()
    for name in sorted(left):
        circle = {other for other in reached[name] if name in reached[other]} - seen
        if name in circle:
            seen |= circle
            yield tuple(sorted(circle))


def reach(edges: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def room(module: str) -> str:
    return module.split("::", maxsplit=1)[0]


def faults(crate: str, known: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each module on no floor and for each use that does not lead down."""
    height = {name: floor for floor, rooms in enumerate(FLOORS[crate]) for name in rooms}
    for here, names in sorted(graph(known).items()):
        if room(here) not in height:
            yield f"{here} stands on no floor: add its room to FLOORS"
            continue
        for there in sorted(names):
            if room(there) != room(here) and height.get(room(there), 0) >= height[room(here)]:
                yield f"{here} uses {there}"


@pytest.mark.parametrize("crate", FLOORS)
def test_a_module_uses_only_floors_below_its_own(crate: str) -> None:
    assert list(faults(crate, modules(crate))) == []


@pytest.mark.parametrize("crate", FLOORS)
def test_no_modules_use_each_other_in_a_circle_but_the_allowed_pair(crate: str) -> None:
    assert list(circles(graph(modules(crate)))) == CIRCLES[crate]


@pytest.mark.parametrize("crate", FLOORS)
def test_every_room_of_the_floors_is_there(crate: str) -> None:
    rooms = {room(name) for name in modules(crate)}
    assert rooms == {name for floor in FLOORS[crate] for name in floor}


def test_every_crate_has_its_floors() -> None:
    assert {path.parent.name for path in CRATES.glob("*/Cargo.toml")} == set(FLOORS)


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("ledger::walk", "use crate::{error::Error, tables::{self, Table}};", "ledger::walk uses tables"),
        ("values::strkey", "fn f() { crate::decode::decode() }", "values::strkey uses decode"),
        ("drawer", "", "drawer stands on no floor: add its room to FLOORS"),
    ],
)
def test_an_upward_use_and_an_unlisted_module_are_found(module: str, text: str, fault: str) -> None:
    found = faults("core", modules("core") | {module: text})
    assert fault in list(found)


def test_a_circle_is_found_through_every_way_to_name_a_module() -> None:
    known = {
        "a": "use b::c;",
        "a::b": "use super::d;",
        "a::d": "pub use crate::{x::y, e::{f as g}};",
        "e": "fn f() { crate::a::b::c() }",
        "z": "use crate::a;",
    }
    assert graph(known)["a::d"] == {"e"}
    assert list(circles(graph(known))) == [("a::b", "a::d", "e")]
