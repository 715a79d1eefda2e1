from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stellarrow.errors import ConfigError
from stellarrow.lifecycle.schedule import Schedule


def moments(text: str, begin: str, many: int) -> list[str]:
    schedule, moment, found = Schedule.parse(text), datetime.fromisoformat(begin).replace(tzinfo=UTC), []
    for _ in range(many):
        moment = schedule.after(moment)
        found.append(moment.isoformat())
    return found


def test_fields_are_read_in_their_own_zone() -> None:
    assert moments("0 3 * * * Asia/Tokyo", "2024-07-01T00:00", 2) == [
        "2024-07-01T18:00:00+00:00",
        "2024-07-02T18:00:00+00:00",
    ]


def test_an_hour_that_comes_twice_counts_once() -> None:
    assert moments("30 2 * * * Europe/Berlin", "2024-10-26T12:00", 2) == [
        "2024-10-27T00:30:00+00:00",
        "2024-10-28T01:30:00+00:00",
    ]


def test_what_falls_into_a_skipped_hour_is_not_left_out() -> None:
    found = moments("30 2 * * * Europe/Berlin", "2024-03-30T12:00", 2)
    assert found[0].startswith("2024-03-31T01:")
    assert found[1] == "2024-04-01T00:30:00+00:00"


@pytest.mark.parametrize(
    "text", ["", "0 3 * * *", "0 3 * * * Berlin/Europe", "0 3 * * * ../../etc/passwd", "61 3 * * * UTC",
             "0 0 30 2 * UTC", "x x x x x UTC"]
)  # fmt: skip
def test_what_is_no_schedule_is_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="write five fields and a time zone"):
        Schedule.parse(text)
