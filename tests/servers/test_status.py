"""Which status an error has."""

import grpc
import pytest

import stellarrow as sa
from stellarrow.servers.status import INTERNAL, TABLE, status_of
from stellarrow.sql.bounds import TookTooLong, TooLarge


def test_every_status_is_one_of_grpc() -> None:
    assert [one for _, one in TABLE if one.grpc not in grpc.StatusCode.__members__] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sa.ConfigError("limit is 0"), "INVALID_ARGUMENT"),
        (sa.LedgerMissing("ledger 7 is missing"), "NOT_FOUND"),
        (sa.SourceUnavailable("no answer"), "UNAVAILABLE"),
        (sa.SinkUnavailable("no answer"), "UNAVAILABLE"),
        (TookTooLong("longer than 1 s"), "DEADLINE_EXCEEDED"),
        (TooLarge("more than 1 MB"), "RESOURCE_EXHAUSTED"),
        (sa.Damaged("a segment is cut"), "DATA_LOSS"),
    ],
)
def test_an_error_has_the_status_of_its_kind(error: sa.StellarrowError, code: str) -> None:
    assert status_of(error).grpc == code


def test_an_error_of_no_kind_is_internal() -> None:
    assert status_of(sa.ChainBroken("ledger 8 does not follow")) is INTERNAL
