"""Words of `event_types` that no row can have are refused, with the nearest that one can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import stellarrow as sa
from analytics.conftest import PORTS, Served
from stellarrow.config import Analytics, read
from stellarrow.core.event_words import CONTRACT_EVENT_TYPES, OPERATION_TYPES, TRANSFER_TYPES
from stellarrow.services.analytics import AnalyticsService


@pytest.fixture(scope="module")
def served(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    given = {**PORTS, "data": str(real_data), "state_dir": str(tmp_path_factory.mktemp("words"))}
    service = AnalyticsService(read(Analytics, given, environ={}))
    with closing(Served(service)) as made:
        service.start()
        yield made


def test_the_words_are_those_of_the_core() -> None:
    with pytest.raises(sa.ConfigError) as refused:
        sa.Decoder(["token_transfers"], network="pubnet", where=sa.Filter(event_types=["?"]))
    said = str(refused.value)
    for words in (TRANSFER_TYPES, OPERATION_TYPES):
        assert f" {', '.join(words)}" in said
    assert said.endswith(OPERATION_TYPES[-1])
    for word in (*CONTRACT_EVENT_TYPES, *TRANSFER_TYPES, *OPERATION_TYPES):
        sa.Decoder(["token_transfers"], network="pubnet", where=sa.Filter(event_types=[word]))


@pytest.mark.parametrize(
    ("path", "asked", "nearest"),
    [
        ("/v1/tables/token_transfers/rows", "transfr", "transfer"),
        ("/v1/tables/token_transfers/rows", "payment,paymnt", "payment"),
        ("/v1/tables/contract_events/rows", "systm", "system"),
        ("/v1/tables/contract_events/rows", "transfer", "contract, system, diagnostic"),
        ("/v1/stream/token_transfers", "clawbak", "clawback"),
        ("/v1/assets/native/transfers", "brun", "burn"),
    ],
)
def test_an_unknown_word_is_400_with_the_nearest_name(
    served: Served, path: str, asked: str, nearest: str
) -> None:
    answer = served.get(path, event_types=asked)
    assert (answer.status_code, answer.json()["field"]) == (400, "event_types")
    assert nearest in answer.json()["detail"]


def test_every_word_is_taken_by_its_table(served: Served) -> None:
    words = ",".join((*TRANSFER_TYPES, *OPERATION_TYPES))
    assert served.get("/v1/tables/token_transfers/rows", event_types=words, limit=1).json()["rows"]
    words = ",".join(CONTRACT_EVENT_TYPES)
    assert served.get("/v1/tables/contract_events/rows", event_types=words, limit=1).json()["rows"]
