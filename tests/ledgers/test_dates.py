"""Ranges by time: what is written, and the seconds and ledgers it means."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from stellarrow import ConfigError, LedgerMissing, LedgerRange, LedgerSet
from stellarrow.ledgers.dates import Moment, is_moment, read_duration, read_moment, shown, without_spaces

EPOCH = 1_719_792_000  # 2024-07-01T00:00:00Z
DAY = 86_400


class EverySixSeconds:
    """Ledger 1,000 closed at the epoch, each other six seconds after the one before, up to 100 days."""

    first, last = 1_000, 1_000 + 100 * DAY // 6

    def since(self, second: int, *, follows: bool) -> int:
        assert isinstance(follows, bool)
        return min(self.last, max(self.first, self.first - (EPOCH - second) // 6))

    def until(self, second: int) -> int:
        return min(self.last, max(self.first, self.first + (second - EPOCH) // 6))

    def closed_at(self, ledger: int) -> int:
        return EPOCH + 6 * (ledger - self.first)


def parsed(text: str) -> str:
    held = LedgerSet([LedgerRange(EverySixSeconds.first, EverySixSeconds.last)])
    return str(LedgerSet.parse(text, known=lambda: held, times=EverySixSeconds()))


@pytest.mark.parametrize(
    ("text", "ledgers"),
    [
        ("2024-07-01", "1000:15399"),
        ("2024-07-01:2024-07-01", "1000:15399"),
        ("2024-07-01:2024-07-02", "1000:29799"),
        ("2024-07-01:+1d", "1000:15399"),
        ("2024-07-01 : + 1 day", "1000:15399"),
        ("2024-07-01:+24h", "1000:15399"),
        ("2024-07-01:+1w", f"1000:{1000 + 7 * 14_400 - 1}"),
        ("2024-07", f"1000:{1000 + 31 * 14_400 - 1}"),
        ("2024-07:2024-08", f"1000:{1000 + 62 * 14_400 - 1}"),
        ("2024-07-02:", "15400:"),
        (":2024-07-01", "1000:15399"),
        ("2024-07-01T12:00Z:+1h", "8200:8799"),
        ("2024-07-01T12:00:+1h", "8200:8799"),
        ("2024-07-01 12:00:+1h", "8200:8799"),
        ("2024-07-01t12z:+60min", "8200:8799"),
        ("2024-07-01T12:00+02:00:+1h", "7000:7599"),
        ("2024-07-01T14:00:00+02:00:2024-07-01T13:00:00Z", "8200:8800"),
        ("2024-07-01T12:00:00Z:2024-07-01T12:00:05Z", "8200"),
        ("2024-07-01T12:00:05.9Z:+1h30m", "8201:9100"),
        ("2024-07-01T12:00:06.5Z:+1h30m", "8202:9101"),
        ("2024-07-01T12:00:00.900:2024-07-01T12:00:12.1", "8201:8202"),
        ("2024-07-01T12:00:00.000000001Z:2024-07-01T12:00:12.000Z", "8201:8202"),
        ("2024-07-01T10:2024-07-02", "7000:29799"),
        ("2024-07-01:+1000", "1000:1999"),
        ("2024-07-01:2500", "1000:2500"),
        ("2500:2024-07-01", "2500:15399"),
        ("2500:+1m", "2500:2509"),
        ("2024-07-01, 2024-07-03", "1000:15399, 29800:44199"),
        ("latest:+1h", str(EverySixSeconds.last)),
    ],
)
def test_a_range_by_time_means_these_ledgers(text: str, ledgers: str) -> None:
    assert parsed(text) == ledgers


def test_what_is_relative_counts_from_now() -> None:
    now = time.time()
    assert now - read_moment("now").first <= 1
    assert now - 86_400 - read_moment("-1d").first <= 1
    assert now - 5_400 - read_moment("-1h30m").first <= 1
    today, yesterday = read_moment("Today"), read_moment("yesterday")
    assert (today.first, today.last - today.first) == (yesterday.last + 1, DAY - 1)
    assert shown(today.first)[:10] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert LedgerRange.parse("-1d:", times=EverySixSeconds()).last is None
    assert LedgerRange.parse("-2d : -1d", times=EverySixSeconds()).last == EverySixSeconds.last


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2024-02-30", "no date there is"),
        ("2024-13-01:", "no date there is"),
        ("2024-07-01T25:00Z:+1h", "no date there is"),
        ("2024-07-02:2024-07-01", "swap its ends"),
        ("2024-07-01T12:00Z", "is one second: write 2024-07-01T12:00Z: for all since then"),
        ("-1d", "is one second: write -1d:"),
        ("2024-07-01:+0h", "no ledger at all"),
        ("2024-7-1:", "is no ledger range"),
        ("01.07.2024:", "is no ledger range"),
        ("2024-07-01:+1y", "is no ledger range"),
        ("2024-07-01..2024-07-02", "is no ledger range"),
        ("", "is no ledger range"),
        (":", "is no ledger range"),
        ("latestlatest", "is no ledger range"),
    ],
)
def test_what_makes_no_range_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parsed(text)


def test_a_range_between_two_ledgers_says_when_they_closed() -> None:
    with pytest.raises(LedgerMissing, match=r"8200, which closed at 2024-07-01T12:00:00Z.*8201.*12:00:06Z"):
        parsed("2024-07-01T12:00:01Z:2024-07-01T12:00:05Z")


def test_where_nothing_knows_when_ledgers_closed_dates_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing here knows when ledgers closed"):
        LedgerSet.parse("2024-07-01:")


def test_a_duration_is_read_in_any_units() -> None:
    assert [read_duration(one) for one in ("90s", "1h30m", "1.5h", "2days", "1w1d")] == [
        *(90, 5_400, 5_400),
        *(2 * DAY, 8 * DAY),
    ]


def test_a_moment_is_told_from_a_number() -> None:
    assert not any(map(is_moment, ("2024", "58_752_000", "latest", "+1d")))
    assert read_moment(without_spaces("2024-07-01 00:00")) == Moment(EPOCH, EPOCH)


def test_a_duration_of_any_length_is_one() -> None:
    assert read_duration("9" * 400 + "d") == read_duration("9" * 300 + "w") == 1 << 62
