"""Ledgers that cannot be decoded: a session ends at the first, or goes on and leaves them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.cli import invoke
from stellarrow.processor.session import Status
from stellarrow.servers.processor_http import components, metrics, to_dict

from .conftest import Endless, Service, Start
from .test_sessions import message, until

BAD = sa.LedgerSet.parse("100, 110:111, 139")
Expected = Callable[..., list[dict[str, Any]]]


class Damaged:
    """The forty ledgers, some of them damaged."""

    def __init__(self, ledgers: tuple[bytes, ...], bad: sa.LedgerSet = BAD) -> None:
        self._ledgers = ledgers
        self.bad = bad

    def __call__(self) -> Damaged:
        return self

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet([sa.LedgerRange(100, 139)])

    def network(self) -> sa.Network:
        return sa.Network.of("synthetic")

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        for ledger in range(ledgers.first, ledgers.end + 1):
            data = self._ledgers[ledger - 100]
            if ledger in self.bad:
                data = data[:-4] if ledger % 2 else data[:60] + b"\xff" + data[61:]
            yield sa.LedgerChunk(data, "single", ledger, ledger, "memory")

    def close(self) -> None:
        """Do nothing: it is read again."""


@pytest.fixture
def source(ledgers: tuple[bytes, ...]) -> Damaged:
    return Damaged(ledgers)


@pytest.fixture
def letters(tmp_path: Path) -> sa.DeadLetters:
    return sa.DeadLetters(tmp_path / "dead-letters")


@pytest.fixture
def gapped(start: Start, source: Damaged, letters: sa.DeadLetters) -> Service:
    """A processor whose only session has left four ledgers out."""
    service = start(source, dead_letters=letters.folder)
    assert service.finished(service.processor.start(100, 139).id) is Status.STOPPED
    return service


def good(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["ledger_sequence"] not in BAD]


def test_a_session_ends_at_the_first_unless_told_otherwise(start: Start, source: Damaged) -> None:
    source.bad = sa.LedgerSet.parse("110")
    service = start(source)
    session = service.processor.start(100, 139).id
    assert service.finished(session) is Status.ERROR
    assert "110" in message(service, session)
    assert service.processor.work(session).session.current == 109


def test_a_session_goes_on_and_says_what_it_left_out(gapped: Service, letters: sa.DeadLetters) -> None:
    (work,) = gapped.processor.works()
    sentence = "ledger 100 and 3 more are left out: stellarrow dlq list says why"
    assert message(gapped, work.session.id) == sentence
    assert to_dict(work)["left_out"] == "100, 110:111, 139"
    assert (work.session.current, work.session.counts.ledgers) == (138, 36)
    health = components(gapped.processor)[0].check()
    assert (health.healthy, health.metrics["left_out"]) == (False, 4)
    assert sentence in health.message
    assert b'ledgers_processed_total{source_type="source",status="quarantined"} 4.0' in metrics(
        gapped.processor
    )
    assert b'missing_ledgers{place="sessions",table=""} 4.0' in metrics(gapped.processor)
    assert [(one.ledger, one.job["session"]) for one in letters.entries()] == [
        (ledger, work.session.id) for ledger in (100, 110, 111, 139)
    ]


@pytest.mark.parametrize(
    "asked",
    [{"table": "contract_events"}, {"table": "contract_events", "where": "false"}, {"table": "ledgers"}],
)
def test_readers_are_told_which_ledgers_they_have_and_no_batch_claims_a_gap(
    gapped: Service, expected: Expected, asked: dict[str, Any]
) -> None:
    received = gapped.tables.read(**asked)
    covered = sa.LedgerSet(sa.LedgerRange(one["first_ledger"], one["last_ledger"]) for one in received.told)
    assert str(covered) == "101:109, 112:138"
    assert received.rows == ([] if "where" in asked else good(expected(asked["table"])))


def test_a_reader_goes_on_behind_a_gap_from_any_token(gapped: Service, expected: Expected) -> None:
    whole = gapped.tables.read(table="contract_events")
    assert whole.rows == good(expected("contract_events"))
    for at in range(0, len(whole.told), 3):
        rest = gapped.tables.read(table="contract_events", **{"from": whole.told[at]["resume"]})
        rows = [row for batch in whole.batches[: at + 1] for row in batch.to_pylist()]
        assert rows + rest.rows == whole.rows


def test_a_mended_source_fills_the_gap_for_who_asks_for_the_range_not_in_the_session(
    gapped: Service, source: Damaged, expected: Expected
) -> None:
    source.bad = sa.LedgerSet()
    asked: dict[str, Any] = {"table": "contract_events", "start_ledger": 110, "end_ledger": 111}
    assert gapped.tables.read(**asked).rows == expected("contract_events", 110, 111)
    assert gapped.tables.read(table="contract_events").rows == good(expected("contract_events"))


def test_what_was_left_out_stays_so_after_a_restart_which_goes_on_behind_it(
    start: Start, endless: Endless, ledgers: tuple[bytes, ...], expected: Expected, letters: sa.DeadLetters
) -> None:
    bad = endless._ledgers = (*ledgers[:10], ledgers[10][:-4], *ledgers[11:])
    service = start(endless, dead_letters=letters.folder)
    session = service.processor.start(100).id
    endless.give(110)
    until(lambda: message(service, session).startswith("ledger 110 is left out"))
    service.close()
    endless._ledgers = ledgers
    again = start(endless, dead_letters=letters.folder)
    assert message(again, session).startswith("ledger 110 is left out")
    endless.give(139)
    until(lambda: again.processor.work(session).session.current == 139)
    again.processor.stop(session)
    assert again.finished(session) is Status.STOPPED
    rows = [row for row in expected("ledgers") if row["ledger_sequence"] != 110]
    assert again.tables.read(table="ledgers").rows == rows
    assert letters.chunk(letters.entries()[0]).data == bad[10]


def test_its_letters_go_into_a_sink_once_they_can_be_decoded(
    gapped: Service,
    letters: sa.DeadLetters,
    ledgers: tuple[bytes, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["dlq", "retry", "--state-dir", str(tmp_path)]
    assert invoke(asked) == 1
    assert "it was a session's, which has no sink: name one with --to" in capsys.readouterr().out
    held = letters.entries()
    for letter in held:  # as if this version had learned to read them
        letters.forget(letter)
        mended = sa.DeadLetters(letters.folder, job=letter.job)
        data = ledgers[letter.ledger - 100]
        mended.put(data, "single", letter.ledger, ValueError(), letter.where, tables=["ledgers"])
    assert invoke([*asked, "--to", f"parquet:{tmp_path / 'mended'}"]) == 0
    assert capsys.readouterr().out == "4 of 4 letters closed\n"
    (work,) = gapped.processor.works()
    assert work.left_out == BAD  # of the session they stay out
