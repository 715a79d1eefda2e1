"""Random interfaces and values that fit them: what is encoded comes back, and nothing else is taken."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellarrow.core.strkey import CONTRACT as C
from stellarrow.core.strkey import encode
from stellarrow.core.typed import Knowledge, wasm_of
from typed_specs import (
    CONTRACT,
    KINDS,
    SCALARS,
    Kind,
    beside,
    event_of,
    interface,
    key_of,
    key_union,
    text,
    u32,
    value_of,
    vec,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_values_that_fit_come_back_and_values_of_another_type_are_refused(data: Any) -> None:
    kinds = data.draw(st.lists(KINDS, min_size=1, max_size=4))
    topics = data.draw(st.integers(0, len(kinds)))
    made = [value_of(data.draw, kind) for kind in kinds]
    values = [xdr for xdr, _ in made]
    changed = data.draw(st.integers(0, len(kinds) - 1))
    others = [Kind(name) for name in SCALARS if not Kind(name).tags & kinds[changed].tags]
    wrong = [*values]
    wrong[changed] = value_of(data.draw, data.draw(st.sampled_from(others)))[0]

    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: interface(kinds, topics)}).tables()
    events = [event_of(values, topics), event_of(wrong, topics)]
    ((name, rows),) = tables.rows(CONTRACT, events=events).items()
    right, refused = rows.to_pylist()
    expected = {k: v for place, (_, one) in enumerate(made) for k, v in beside(f"p{place}", one).items()}
    assert name.endswith("/events/Moved")
    assert {key: right[key] for key in expected} == expected
    assert (right["spec_status"], refused["spec_status"]) == ("decoded", "mismatch")
    assert {key: refused[key] for key in expected} == dict.fromkeys(expected)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_keys_and_values_of_storage_come_back_and_keys_of_another_type_are_refused(data: Any) -> None:
    cases = data.draw(st.lists(st.lists(KINDS, min_size=1, max_size=3), min_size=1, max_size=3))
    chosen = data.draw(st.integers(0, len(cases) - 1))
    made = [value_of(data.draw, kind) for kind in cases[chosen]]
    values = [xdr for xdr, _ in made]
    changed = data.draw(st.integers(0, len(made) - 1))
    others = [Kind(name) for name in SCALARS if not Kind(name).tags & cases[chosen][changed].tags]
    wrong = [*values]
    wrong[changed] = value_of(data.draw, data.draw(st.sampled_from(others)))[0]
    scalar = Kind(data.draw(st.sampled_from(SCALARS)))
    kept, told = value_of(data.draw, scalar)

    known = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: key_union(cases)})
    items = [(key_of(chosen, values), kept), (key_of(chosen, wrong), kept)]
    known.sample(CONTRACT, items)
    ((name, rows),) = known.tables().rows(CONTRACT, items=items).items()
    right, refused = rows.to_pylist()
    keys = {k: v for place, (_, one) in enumerate(made) for k, v in beside(f"key_{place}", one).items()}
    assert name.endswith(f"/storage/Of{chosen}")
    assert {key: right[key] for key in keys} == keys
    assert (right["spec_status"], refused["spec_status"]) == ("decoded", "mismatch")
    assert {key: refused[key] for key in keys} == dict.fromkeys(keys)
    for row in (right, refused):
        assert {key: row[key] for key in beside(f"value_{scalar.name}", told)} == beside(
            f"value_{scalar.name}", told
        )


def test_two_contracts_of_one_code_share_its_tables_and_have_their_own() -> None:
    code = wasm_of(interface([Kind("i128")], 0))
    hash, other = sha256(code).hexdigest(), encode(bytes([1] * 32), C)
    known = Knowledge([f"typed:{hash}", f"typed:{CONTRACT}"], {hash: code})
    for contract in (CONTRACT, other):
        known.note(contract, 0, hash)
    tables = known.tables()
    smallest, largest = -(1 << 127), (1 << 127) - 1
    for contract, amount in ((CONTRACT, smallest), (other, largest)):
        event = event_of([u32(10) + amount.to_bytes(16, "big", signed=True)], 0)
        made = {
            name.rpartition("typed:")[2]: [
                (row["contract_id"], row["p0_text"], row["p0"]) for row in rows.to_pylist()
            ]
            for name, rows in tables.rows(contract, events=[event]).items()
        }
        whose = [hash, CONTRACT] if contract == CONTRACT else [hash]
        assert made == {f"{one}/events/Moved": [(contract, str(amount), None)] for one in whose}


def test_types_that_hold_themselves_and_64_fields_and_odd_names_are_columns() -> None:
    node = u32(1) + text(b"") * 2 + text(b"Node") + u32(1) + text(b"") + text(b"next")
    node += u32(1000) + u32(2000) + text(b"Node")
    fields = b"".join(text(b"") + text(f"f{place}".encode()) + u32(4) for place in range(64))
    wide = u32(1) + text(b"") * 2 + text(b"Wide") + u32(64) + fields
    odd = [b"a\0b\xff", b"contract_id", b"amount", b"amount_text"]
    kinds = [u32(2000) + text(b"Node"), u32(2000) + text(b"Wide"), u32(11), u32(4)]
    params = b"".join(text(b"") + text(n) + k + u32(0) for n, k in zip(odd, kinds, strict=True))
    event = u32(5) + text(b"") * 2 + text(b"E") + u32(0) + u32(4) + params + u32(1)
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: node + wide + event}).tables()

    void = u32(17) + u32(1) + u32(1) + u32(15) + text(b"next") + u32(1)
    inner = u32(17) + u32(1) + u32(1) + u32(15) + text(b"next") + void
    numbers = sorted((f"f{place}".encode(), place) for place in range(64))
    struct64 = u32(17) + u32(1) + u32(64) + b"".join(u32(15) + text(n) + u32(3) + u32(v) for n, v in numbers)
    amount = u32(10) + (-5).to_bytes(16, "big", signed=True)
    data = vec([inner, struct64, amount, u32(3) + u32(7)])
    (rows,) = tables.rows(CONTRACT, events=[([u32(15) + text(b"x")], data)]).values()
    (row,) = rows.to_pylist()
    assert (row["spec_status"], row["contract_id_"]["f63"], row["amount_text"]) == ("decoded", 63, 7)
    assert (row["amount"], row["amount_text_"]) == (Decimal(-5), "-5")
    assert '"next"' in row["a\\0b\\xff"]["next"]
