"""A state folder as the version before wrote it: read, and continued."""

from __future__ import annotations

import json
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.processor.session import Status
from stellarrow.sources.files import FileSource

from .conftest import Start

FIXTURE = Path(__file__).parents[1] / "data" / "state_1.tar.xz"
ENDED = "f90654e3-0276-4233-ac14-1c8e3117c6a0"
UNDER_WAY = "07895518-8914-4600-8304-3de5dff921d9"
NETWORK = sa.Network.of("synthetic")
TABLES = ("contract_data@2.0", "ledgers")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A folder with `state`, two sessions and a dead letter, and `ledgers.xdr`, what they are of."""
    folder = tmp_path / "older"
    with tarfile.open(FIXTURE) as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_what_the_version_before_wrote_is_read_and_continued(start: Start, older: Path) -> None:
    source = older / "ledgers.xdr"
    with closing(FileSource(source)) as ledgers:
        last = ledgers.available().last
    made = sa.decode(source.read_bytes(), list(TABLES), network="synthetic")
    service = start(lambda: FileSource(source), state_dir=older / "state", tables=TABLES, network=NETWORK)
    ended, under_way = (service.processor.work(one) for one in (ENDED, UNDER_WAY))
    assert (ended.session.status, ended.session.current, ended.message) == (Status.STOPPED, 104, "")
    assert service.finished(UNDER_WAY) in (Status.STOPPED, Status.ERROR)
    assert under_way.session.current == last > 107, under_way.message
    assert service.processor.damage == []
    for table in ("contract_data", "ledgers"):
        received = service.tables.read(table=table)
        rows: dict[str, list[dict[str, Any]]] = {ENDED: [], UNDER_WAY: []}
        for batch, answer in zip(received.batches, received.told, strict=True):
            rows[answer["session"]] += batch.to_pylist()
        whole = next(made[name] for name in TABLES if name.startswith(table)).to_pylist()
        assert rows[UNDER_WAY] == whole
        assert rows[ENDED] == [row for row in whole if row["ledger_sequence"] <= 104]


def test_what_was_continued_is_of_this_version_afterwards(start: Start, older: Path) -> None:
    service = start(
        lambda: FileSource(older / "ledgers.xdr"), state_dir=older / "state", tables=TABLES, network=NETWORK
    )
    service.finished(UNDER_WAY)
    service.close()
    for path in (older / "state" / "sessions").glob("*/spool.json"):
        assert json.loads(path.read_bytes())["format"] == 2
    (letter,) = DeadLetters(older / "state" / "dead-letters").entries()
    assert (letter.ledger, letter.message) == (50, "ledger 50: no such arm")


def test_what_a_processor_remembers_is_for_its_own_user(start: Start, older: Path) -> None:
    state = older / "state"
    state.chmod(0o755)
    service = start(
        lambda: FileSource(older / "ledgers.xdr"), state_dir=state, tables=TABLES, network=NETWORK
    )
    service.finished(UNDER_WAY)
    service.finished(service.processor.start(100, 102).id)
    found = [state, *state.rglob("*")]
    assert len(found) > 15
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []
