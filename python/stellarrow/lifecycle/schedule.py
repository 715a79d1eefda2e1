"""When runs begin: cron expressions, each with the time zone it is meant in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stellarrow.errors import ConfigError
from stellarrow.extras import needing

with needing("a schedule", "lifecycle"):
    from cronsim import CronSim, CronSimError

_FIELDS: Final = 5
_FORM: Final = "write five fields and a time zone, as '0 3 * * * UTC' or '30 2 * * sun Europe/Berlin'"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Moments at which something is due, by the clock of a zone.

    What falls into an hour that the zone skips comes after it; what falls into one it has twice comes once.
    """

    expression: str
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, name: str = "the schedule") -> Schedule:
        """Read five fields of cron and a time zone such as Europe/Berlin."""
        *fields, zone = text.split() or [""]
        if len(fields) != _FIELDS:
            raise ConfigError(f"{name} is {text[:60]!r}: {_FORM}")
        try:
            made = cls(" ".join(fields), ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(f"{name} has no time zone that is known, {zone[:40]!r}: {_FORM}") from error
        try:
            made.after(datetime.now(UTC))
        except ValueError as error:
            raise ConfigError(f"{name} is {text[:60]!r} ({error}): {_FORM}") from error
        return made

    def after(self, moment: datetime) -> datetime:
        """Return the first moment after one; ValueError where there is none."""
        try:
            return next(CronSim(self.expression, moment.astimezone(self.zone))).astimezone(UTC)
        except CronSimError as error:
            raise ValueError(str(error).lower()) from error
        except StopIteration as error:
            raise ValueError("it never comes") from error
