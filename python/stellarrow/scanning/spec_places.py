"""Where contracts' interfaces are found beside the ledgers: folders of code, extracts, RPC nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from stellarrow.core.strkey import is_contract
from stellarrow.core.tables import TYPED, is_typed
from stellarrow.core.typed import Code, Knowledge
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.sources.archive_specs import SpecArchive, is_archive
from stellarrow.sources.spec_entries import SpecEntries, code_key, instance_key
from stellarrow.storage.paths import local_path

_HASH: Final = re.compile("[0-9a-f]{64}")
_RPC: Final = ("rpc+http://", "rpc+https://", "http://", "https://")


def pairs(flag: str, given: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{flag} is {one!r}: write it as NAME=VALUE, such as kale=C… or C…=token.wasm")
        found[name] = value
    return found


def full_name(table: str, names: Mapping[str, str]) -> str:
    """Return a typed table's name with the contract's id instead of its short name."""
    if not is_typed(table):
        return table
    target, slash, rest = table.removeprefix(TYPED).partition("/")
    return f"{TYPED}{_meant(target, names, table)}{slash}{rest}"


def given_specs(spec: Iterable[str], names: Mapping[str, str]) -> dict[str, Code]:
    """Read `C…=FILE.wasm`, or a short name instead of the contract."""
    return {_meant(one, names, f"--spec {one}=…"): code for one, code in pairs("--spec", spec).items()}


def _meant(target: str, names: Mapping[str, str], asked: str) -> str:
    """Return the contract, or the hash of code, that is meant by itself or by its short name."""
    meant = names.get(target, target)
    if is_contract(meant) or _HASH.fullmatch(meant):
        return meant
    what = repr(target) if meant == target else f"{meant!r}, which is named {target!r},"
    remedy = "check its letters and digits: C… has 56 of them, the last two are a checksum"
    if meant == target and target not in names and not target.startswith("C"):
        known = f"{TYPED}C…, or a short name and --name {target or 'kale'}=C… (CONTRACT_NAMES in settings)"
        remedy = nearest(target, [*names], f"write {known}", show=repr)
    raise ConfigError(
        f"{asked}: {what} is neither a contract (C…) nor the hash of a contract's code (64 hex digits):"
        f" {remedy}"
    )


def knowledge_of(
    names: Sequence[str], *, spec: Mapping[str, Code], specs: str | None, cache: SpecCache | None = None
) -> Knowledge:
    """Return what is known of the contracts of typed tables before any ledger is read."""
    known = Knowledge(names, spec)
    learn_from(known, specs, cache=cache)
    return known


def learn_from(known: Knowledge, place: str | None, *, cache: SpecCache | None = None) -> None:
    """Learn from a place what is still not known: which code contracts run, and the code.

    What was found earlier on this machine is taken from its cache.
    """
    cache = cache or SpecCache()
    _from_cache(known, cache)
    if place is None:
        return
    if place.startswith(_RPC):
        _from_node(known, place, cache)
    else:
        _from_folder(known, local_path(place), cache)


def _from_cache(known: Knowledge, cache: SpecCache) -> None:
    for hash in known.missing():
        if code := cache.get(hash):
            known.add_code(hash, code)


def _from_node(known: Knowledge, url: str, cache: SpecCache) -> None:
    from stellarrow import extras  # noqa: PLC0415  needed for a node alone

    extras.require("--specs", "rpc")
    from stellarrow.sources.rpc.specs import open_node  # noqa: PLC0415  an extra

    with open_node(url) as node:
        _from_entries(known, node, cache)


def _from_entries(known: Knowledge, place: SpecEntries, cache: SpecCache) -> None:
    unknown = [one for one in known.targets if is_contract(one) and not known.history(one)]
    place.look_for(map(instance_key, unknown))
    for contract in unknown:
        if ran := place.ran(contract):
            known.note(contract, *ran)
    _from_cache(known, cache)
    place.look_for(map(code_key, known.missing()))
    for hash in known.missing():
        if (code := place.code(hash)) is not None:
            cache.put(code)
            known.add_code(hash, code)


def _from_folder(known: Knowledge, place: Path, cache: SpecCache) -> None:
    if not place.is_dir():
        raise ConfigError(
            f"--specs is {place}: name a folder of .wasm files, one that extract wrote, a history archive on"
            " disk, or an RPC node (https://…)"
        )
    if is_archive(place):
        _from_entries(known, SpecArchive(place), cache)
        return
    files = {sha256(code).hexdigest(): code for code in map(Path.read_bytes, sorted(place.glob("*.wasm")))}
    if not files:
        _from_extract(known, place, cache)
    for hash in [*known.targets, *known.missing()]:
        if hash in files:
            known.add_code(hash, files[hash])


def _from_extract(known: Knowledge, place: Path, cache: SpecCache) -> None:
    for contract in filter(is_contract, known.targets):
        for ledger, hash in instances(contract, place):
            known.note(contract, ledger, hash)
    hashes = [target for target in known.targets if not is_contract(target)]
    for hash in dict.fromkeys([*hashes, *known.missing()]):
        if (code := code_of(hash, place)) is not None and sha256(code).hexdigest() == hash:
            cache.put(code)
            known.add_code(hash, code)


def instances(contract: str, data: Path) -> Iterator[tuple[int, str | None]]:
    """Yield since when a contract ran which code, as its instances were extracted; None is an asset's."""
    columns = ["ledger_sequence", "contract_instance_type", "contract_instance_wasm_hash"]
    rows = rows_where("contract_data", f"contract_id = '{contract}'", columns, data)
    for row in sorted(
        (one for one in rows if one["contract_instance_type"]), key=lambda one: one["ledger_sequence"]
    ):
        yield row["ledger_sequence"], row["contract_instance_wasm_hash"]


def code_of(wasm_hash: str, data: Path) -> bytes | None:
    """Return code by its hash, None where it was not extracted."""
    for row in rows_where("contract_code", f"contract_code_hash = '{wasm_hash}'", ["code"], data):
        if row["code"] is not None:
            return bytes(row["code"])
    return None


def rows_where(name: str, where: str, columns: list[str], data: Path) -> Iterator[dict[str, Any]]:
    """Yield columns of a table's rows that fit a condition in SQL, of all tables below a folder."""
    from stellarrow.sinks.files.dataset import ExtractedTable  # noqa: PLC0415  loads Arrow's datasets
    from stellarrow.sinks.files.location import open_files  # noqa: PLC0415  loads Arrow's datasets
    from stellarrow.sinks.files.reading import listings  # noqa: PLC0415  loads Arrow's datasets

    asked = Filter(where=where, select=", ".join(columns))
    for listing in listings(open_files(data)):
        table = ExtractedTable(listing)
        if listing.shape.facts["table"] == name and {*columns} <= {*table.schema.names}:
            for rows in table.batches(asked, None)():
                yield from rows.to_pylist()
