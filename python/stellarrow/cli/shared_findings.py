"""What doctor finds where replicas share their sessions."""

from __future__ import annotations

import time
from contextlib import closing

from stellarrow.cli.diagnostics import Finding
from stellarrow.errors import StellarrowError
from stellarrow.net.redaction import redacted_url
from stellarrow.records.opening import open_records
from stellarrow.records.proof import prove, prove_under_load


def shared_records(url: str) -> Finding:
    """Let the place prove that it compares before it writes, alone and under load."""
    name = f"shared state in {redacted_url(url)}"
    try:
        with closing(open_records(url)) as records:
            records.get("probes/none")
            began = time.monotonic()
            records.get("probes/none")
            latency = (time.monotonic() - began) * 1000
            prove(records)
            prove_under_load(records)
    except StellarrowError as error:
        return Finding(name, "broken", str(error))
    return Finding(name, "ok", "compares before it writes, and loses no change", latency_ms=latency)
