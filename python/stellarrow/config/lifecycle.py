"""What the lifecycle of stored tables can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import FOLDER, TEXT, URL


@dataclass(frozen=True, kw_only=True)
class Aging(Settings):
    """Policies, an archive, and when something is done."""

    archive: str | None = setting(
        URL, None, "LIFECYCLE_ARCHIVE", help="Where what ages goes: a folder, or a URL such as s3://BUCKET."
    )
    parquet_policy: str = setting(
        TEXT,
        "archive 90d,delete 180d",
        "PARQUET_POLICY",
        help="Ages of Parquet, as compress 7d, archive 90d; or keep.",
    )
    json_policy: str = setting(TEXT, "archive 7d,delete 14d", "JSON_POLICY", help="Those of JSON lines.")
    csv_policy: str = setting(TEXT, "archive 7d,delete 14d", "CSV_POLICY", help="Those of CSV.")
    min_free: str | None = setting(
        TEXT, None, "MIN_FREE", help="Free so much of the disk, as 50GB or 10%, before its time if need be."
    )
    schedule: str | None = setting(
        TEXT, None, "LIFECYCLE_SCHEDULE", help="Run again and again: cron and a time zone, '0 3 * * * UTC'."
    )
    lease: str | None = setting(
        URL,
        None,
        "LEASE",
        help="Where runs of several machines agree who is at it: postgres://…, s3://… or a folder.",
    )


@dataclass(frozen=True, kw_only=True)
class Lifecycle(Aging):
    """What becomes of stored tables as they age."""

    state_dir: Path = setting(FOLDER, "./stellarrow-state", "STATE_DIR", help="Where the audit log lies.")
    audit_log: str | None = setting(
        TEXT, None, "AUDIT_LOG", help="Who did what: a file, - or off; else audit.jsonl in the state folder."
    )
