"""Makes interfaces of contracts (SCSpecEntry), and values of their types with what columns must hold."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

CONTRACT = "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSC4"  # of 32 zeros
ACCOUNT = "GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF"
Columns = dict[str, Any]  # by what stands behind the name


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def text(value: bytes) -> bytes:
    return u32(len(value)) + value + b"\0" * (-len(value) % 4)


# Name: SCSpecType, SCValType, bits, whether signed.
INTEGERS = {
    "u32": (4, 3, 32, False),
    "i32": (5, 4, 32, True),
    "u64": (6, 5, 64, False),
    "i64": (7, 6, 64, True),
    "u128": (10, 9, 128, False),
    "i128": (11, 10, 128, True),
    "u256": (12, 11, 256, False),
    "i256": (13, 12, 256, True),
}
OTHERS = {
    "bool": (1, 0),
    "timepoint": (8, 7),
    "duration": (9, 8),
    "bytes": (14, 13),
    "string": (16, 14),
    "symbol": (17, 15),
    "address": (19, 18),
}
LAST_SECOND = 253_402_300_799  # of the year 9999
SCALARS = [*INTEGERS, *OTHERS]


@dataclass(frozen=True)
class Kind:
    """A declared type: its SCSpecTypeDef, and how its name and parts make values."""

    name: str
    parts: tuple[Kind, ...] = ()

    @property
    def declared(self) -> bytes:
        if self.name in INTEGERS:
            return u32(INTEGERS[self.name][0])
        if self.name in OTHERS:
            return u32(OTHERS[self.name][0])
        if self.name in ("struct", "union", "enum"):
            return u32(2000) + text(self.udt)
        arm = {"option": 1000, "vec": 1002, "map": 1004, "tuple": 1005}[self.name]
        count = u32(len(self.parts)) if self.name == "tuple" else b""
        return u32(arm) + count + b"".join(part.declared for part in self.parts)

    @property
    def udt(self) -> bytes:
        return f"{self.name}{hash(self.parts) % 10**9}".encode()

    def definitions(self) -> dict[bytes, bytes]:
        """Return the entries of the types of its own that it takes."""
        found: dict[bytes, bytes] = {}
        for part in self.parts:
            found |= part.definitions()
        head = text(b"") * 2 + text(self.udt) + u32(len(self.parts))
        if self.name == "struct":
            fields = b"".join(
                text(b"") + text(n) + k.declared for n, k in zip(named(self), self.parts, strict=True)
            )
            found[self.udt] = u32(1) + head + fields
        if self.name == "union":
            cases = b"".join(
                u32(1) + text(b"") + text(n) + u32(1) + k.declared
                for n, k in zip(named(self), self.parts, strict=True)
            )
            found[self.udt] = u32(2) + head + cases
        if self.name == "enum":
            found[self.udt] = (
                u32(3) + text(b"") * 2 + text(self.udt) + u32(2) + text(b"") + text(b"Low") + u32(3)
                + text(b"") + text(b"High") + u32(9)
            )  # fmt: skip
        return found

    @property
    def tags(self) -> set[int]:
        """The SCValTypes its values may have."""
        if self.name in INTEGERS:
            return {INTEGERS[self.name][1]}
        if self.name in OTHERS:
            return {OTHERS[self.name][1]}
        if self.name == "option":
            return {1} | self.parts[0].tags
        return {{"vec": 16, "tuple": 16, "union": 16, "map": 17, "struct": 17, "enum": 3}[self.name]}


def named(kind: Kind) -> list[bytes]:
    return [b"zyxwvutsrq"[place : place + 1] + b"_field" for place in range(len(kind.parts))]


def _larger(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    several = st.lists(inner, min_size=1, max_size=4).map(tuple)
    one = inner.map(lambda kind: (kind,))
    return st.one_of(
        st.tuples(st.sampled_from(["tuple", "struct", "union"]), several).map(lambda two: Kind(*two)),
        st.tuples(st.sampled_from(["vec", "option"]), one).map(lambda two: Kind(*two)),
        st.tuples(inner, inner).map(lambda two: Kind("map", two)),
    )


KINDS = st.recursive(st.sampled_from([*SCALARS, "enum"]).map(Kind), _larger, max_leaves=6)


def value_of(draw: Any, kind: Kind) -> tuple[bytes, Columns]:
    """Draw a value: its SCVal, and what the columns must hold."""
    if kind.name in INTEGERS:
        return integer(draw, kind.name)
    if kind.name in OTHERS:
        return other(draw, kind.name)
    if kind.name == "enum":
        number = draw(st.sampled_from([3, 9]))
        return u32(3) + u32(number), {"": number, "_name": "Low" if number < 9 else "High"}
    if kind.name == "option":
        if draw(st.booleans()):
            return value_of(draw, kind.parts[0])
        return u32(1), dict.fromkeys(value_of(draw, kind.parts[0])[1])
    return composite(draw, kind)


def integer(draw: Any, name: str) -> tuple[bytes, Columns]:
    _, tag, bits, signed = INTEGERS[name]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    edges = st.sampled_from([low, high, 0, 1, min(10**38 - 1, high), min(10**38, high)])
    number = draw(st.one_of(edges, st.integers(low, high)))
    xdr = u32(tag) + number.to_bytes(bits // 8, "big", signed=signed)
    if bits == 256:
        return xdr, {"": str(number)}
    if bits == 128:
        return xdr, {"": Decimal(number) if abs(number) < 10**38 else None, "_text": str(number)}
    return xdr, {"": number}


def other(draw: Any, name: str) -> tuple[bytes, Columns]:
    tag = u32(OTHERS[name][1])
    if name == "bool":
        flag = draw(st.booleans())
        return tag + u32(flag), {"": flag}
    if name in ("timepoint", "duration"):
        edges = st.sampled_from([0, LAST_SECOND, LAST_SECOND + 1, (1 << 64) - 1])
        return moment(tag, draw(st.one_of(edges, st.integers(0, (1 << 64) - 1))), name)
    if name == "address":
        account = draw(st.booleans())
        kind = u32(0) * 2 if account else u32(1)
        return tag + kind + bytes(32), {"": ACCOUNT if account else CONTRACT}
    if name == "symbol":
        symbol = draw(st.text("abcXYZ_019", max_size=32))
        return tag + text(symbol.encode()), {"": symbol}
    content = draw(st.binary(max_size=20))
    if name == "bytes":
        return tag + text(content), {"": content}
    return tag + text(content), {"": sep51(content)}


def moment(tag: bytes, seconds: int, name: str) -> tuple[bytes, Columns]:
    xdr = tag + seconds.to_bytes(8, "big")
    if name == "duration":
        return xdr, {"": seconds}
    known = seconds <= LAST_SECOND
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds) if known else None
    return xdr, {"": time, "_seconds": seconds}


def sep51(content: bytes) -> str:
    known = {0x5C: "\\\\", 0x0A: "\\n", 0x09: "\\t", 0x0D: "\\r", 0: "\\0"}
    return "".join(
        known.get(one) or (chr(one) if 0x20 <= one <= 0x7E else f"\\x{one:02x}") for one in content
    )


def composite(draw: Any, kind: Kind) -> tuple[bytes, Columns]:
    if kind.name == "vec":
        items = [value_of(draw, kind.parts[0]) for _ in range(draw(st.integers(0, 3)))]
        shape = items[0][1] if items else value_of(draw, kind.parts[0])[1]
        return vec([xdr for xdr, _ in items]), {
            suffix: [columns[suffix] for _, columns in items] for suffix in shape
        }
    if kind.name == "map":
        pairs = [[value_of(draw, part) for part in kind.parts] for _ in range(draw(st.integers(0, 2)))]
        xdr = u32(17) + u32(1) + u32(len(pairs)) + b"".join(key[0] + value[0] for key, value in pairs)
        return xdr, {"": [beside("key", key[1]) | beside("value", value[1]) for key, value in pairs]}
    made = [value_of(draw, part) for part in kind.parts]
    if kind.name == "tuple":
        fields = [beside(str(place), columns) for place, (_, columns) in enumerate(made)]
        return vec([xdr for xdr, _ in made]), {"": {k: v for one in fields for k, v in one.items()}}
    names = named(kind)
    columns = [beside(name.decode(), one[1]) for name, one in zip(names, made, strict=True)]
    if kind.name == "union":
        chosen = draw(st.integers(0, len(made) - 1))
        kept = [one if place == chosen else dict.fromkeys(one) for place, one in enumerate(columns)]
        xdr = vec([u32(15) + text(names[chosen]), made[chosen][0]])
        return xdr, {"": {"tag": names[chosen].decode()} | {k: v for one in kept for k, v in one.items()}}
    entries = sorted(zip(names, (xdr for xdr, _ in made), strict=True))
    xdr = u32(17) + u32(1) + u32(len(entries)) + b"".join(u32(15) + text(n) + one for n, one in entries)
    return xdr, {"": {k: v for one in columns for k, v in one.items()}}


def beside(name: str, columns: Columns) -> Columns:
    return {f"{name}{suffix}": value for suffix, value in columns.items()}


def vec(items: list[bytes]) -> bytes:
    return u32(16) + u32(1) + u32(len(items)) + b"".join(items)


def interface(kinds: list[Kind], topics: int) -> bytes:
    """SCSpecEntry: the types, and an event `moved` whose first params are topics and whose others a map."""
    types: dict[bytes, bytes] = {}
    for kind in kinds:
        types |= kind.definitions()
    params = b"".join(
        text(b"") + text(f"p{place}".encode()) + kind.declared + u32(place < topics)
        for place, kind in enumerate(kinds)
    )
    event = (
        u32(5) + text(b"") * 2 + text(b"Moved") + u32(1) + text(b"moved") + u32(len(kinds)) + params + u32(2)
    )
    return b"".join(types.values()) + event


def event_of(values: list[bytes], topics: int) -> tuple[list[bytes], bytes]:
    data = [(f"p{place}".encode(), xdr) for place, xdr in enumerate(values)][topics:]
    entries = b"".join(u32(15) + text(name) + xdr for name, xdr in sorted(data))
    return [u32(15) + text(b"moved"), *values[:topics]], u32(17) + u32(1) + u32(len(data)) + entries


def key_union(kinds: list[list[Kind]]) -> bytes:
    """SCSpecEntry: the types, and a union `DataKey` with a case `Of0`, `Of1`, … of these values each."""
    types: dict[bytes, bytes] = {}
    for kind in (one for case in kinds for one in case):
        types |= kind.definitions()
    cases = b"".join(
        u32(1)
        + text(b"")
        + text(f"Of{place}".encode())
        + u32(len(case))
        + b"".join(one.declared for one in case)
        for place, case in enumerate(kinds)
    )
    return b"".join(types.values()) + u32(2) + text(b"") * 2 + text(b"DataKey") + u32(len(kinds)) + cases


def key_of(case: int, values: list[bytes]) -> bytes:
    return vec([u32(15) + text(f"Of{case}".encode()), *values])


def transfer_spec(kind: str) -> bytes:
    """SCSpecEntry: `Transfer(from, to, amount)`, the amount of this type, as the data's one value."""
    params = [("from", "address", 1), ("to", "address", 1), ("amount", kind, 0)]
    declared = b"".join(
        text(b"") + text(name.encode()) + (u32(0) if of == "val" else Kind(of).declared) + u32(at)
        for name, of, at in params
    )
    return (
        u32(5) + text(b"") * 2 + text(b"Transfer") + u32(1) + text(b"transfer") + u32(3) + declared + u32(0)
    )


def trade_spec() -> bytes:
    """SCSpecEntry: `Trade(token, bought, sold)` of synthetic exchanges, the amounts in a vector."""
    params = [("token", "address", 1), ("bought", "i128", 0), ("sold", "i128", 0)]
    declared = b"".join(
        text(b"") + text(name.encode()) + Kind(of).declared + u32(at) for name, of, at in params
    )
    return u32(5) + text(b"") * 2 + text(b"Trade") + u32(1) + text(b"trade") + u32(3) + declared + u32(1)
