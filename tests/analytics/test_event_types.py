"""Words of `event_types` that no row can have are refused, with the nearest that one can."""

from __future__ import annotations

import pytest

import stellarrow as sa
from analytics.conftest import Served
from stellarrow.core.event_words import event_words


@pytest.mark.parametrize("table", ["contract_events", "token_transfers"])
def test_the_words_are_those_that_a_filter_takes(table: str) -> None:
    assert len(event_words(table)) > 2
    for word in event_words(table):
        sa.Decoder([table], network="pubnet", where=sa.Filter(event_types=[word]))
    with pytest.raises(sa.ConfigError) as refused:
        sa.Decoder([table], network="pubnet", where=sa.Filter(event_types=["?"]))
    assert all(word in str(refused.value) for word in event_words(table))


@pytest.mark.parametrize(
    ("path", "asked", "nearest"),
    [
        ("/v1/tables/token_transfers/rows", "transfr", "transfer"),
        ("/v1/tables/token_transfers/rows", "payment,paymnt", "payment"),
        ("/v1/tables/contract_events/rows", "systm", "system"),
        ("/v1/tables/contract_events/rows", "transfer", "system, contract, diagnostic"),
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
    words = ",".join(event_words("token_transfers"))
    assert served.get("/v1/tables/token_transfers/rows", event_types=words, limit=1).json()["rows"]
    words = ",".join(event_words("contract_events"))
    assert served.get("/v1/tables/contract_events/rows", event_types=words, limit=1).json()["rows"]
