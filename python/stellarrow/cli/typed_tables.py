"""Typed tables of an extract: whose they are, and where their interfaces come from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import click

from stellarrow.config import Extract
from stellarrow.core.strkey import is_contract
from stellarrow.core.tables import TYPED, is_typed, table_names
from stellarrow.core.typed import Code, Knowledge, SpecUnknown, TypedTables
from stellarrow.errors import ConfigError
from stellarrow.ledgers import Network
from stellarrow.pipeline.contract_specs import learned
from stellarrow.protocols import Source
from stellarrow.storage.paths import local_path


def typed_tables(source: Source, settings: Extract, network: Network) -> tuple[TypedTables | None, list[str]]:
    """Return the tables that are asked for, typed ones each by its whole name, and what makes those.

    A contract whose interface is not known is told on standard error.
    """
    names = pairs("--name", settings.name)
    asked = [full_name(name, names) for name in table_names(",".join(settings.tables))]
    if not any(map(is_typed, asked)):
        return None, asked
    specs: dict[str, Code] = {}
    for contract, code in pairs("--spec", settings.spec).items():
        specs[names.get(contract, contract)] = code
    place = settings.specs
    with telling():
        made, _ = learned(
            source,
            asked,
            specs=specs,
            ledgers=settings.ledgers,
            network=network,
            sinks=settings.to,
            also=(lambda known: learn_place(known, local_path(place))) if place else None,
        )
    return made, made.expand(asked)


@contextmanager
def telling() -> Iterator[None]:
    """Tell on standard error of contracts whose interface is not known, each once."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SpecUnknown)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in told):
        click.echo(f"warning: {message}", err=True)


def pairs(flag: str, given: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{flag} is {one!r}: write it as NAME=VALUE, such as kale=C… or C…=token.wasm")
        found[name] = value
    return found


def full_name(table: str, names: dict[str, str]) -> str:
    """Return a typed table's name with the contract's id instead of its short name."""
    if not is_typed(table):
        return table
    target, slash, rest = table.removeprefix(TYPED).partition("/")
    return f"{TYPED}{names.get(target, target)}{slash}{rest}"


def learn_place(known: Knowledge, place: Path) -> None:
    """Learn from a folder: files of WebAssembly, or contract_data and contract_code that were extracted."""
    if not place.is_dir():
        raise ConfigError(f"--specs is {place}: name a folder of .wasm files, or one that extract wrote")
    files = {sha256(code).hexdigest(): code for code in map(Path.read_bytes, sorted(place.glob("*.wasm")))}
    if not files:
        _extracted(known, place)
    for target in known.targets:
        if target in files:
            known.add_code(target, files[target])
    for hash in known.missing():
        if hash in files:
            known.add_code(hash, files[hash])


def _extracted(known: Knowledge, place: Path) -> None:
    from stellarrow.cli.query.contract_code import code_of, instances  # noqa: PLC0415  loads Arrow's datasets

    for contract in filter(is_contract, known.targets):
        for ledger, hash in instances(contract, place):
            known.note(contract, ledger, hash)
    hashes = [target for target in known.targets if not is_contract(target)]
    for hash in dict.fromkeys([*hashes, *known.missing()]):
        if (code := code_of(hash, place)) is not None:
            known.add_code(hash, code)
