"""`stellarrow audit`: whether the log of who did what is whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import LocalPath
from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.security import audit_log

_EXAMPLE: Final = "\b\nExample:\n  stellarrow audit verify stellarrow-state/audit.jsonl"


@click.group(cls=Verbs, short_help="Check the audit log.", epilog=_EXAMPLE)
def command() -> None:
    """Check the log of who did what."""


@command.command(epilog=_EXAMPLE)
@click.argument("file", type=LocalPath())
@click.option("--head", metavar="SHA256", help="A digest printed before, which must still be in the log.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, head: str | None, as_json: bool) -> None:
    """Check that no line was changed, added or taken away.

    It prints the digest of the last line. Keep it elsewhere and give it as --head the next time: then it is
    also seen where the end was cut off, or the whole file was written anew.
    """
    found = audit_log.verify(file, must_have=head)
    if as_json:
        say(json.dumps(asdict(found)))
    else:
        say(f"{formatting.many(found.lines, 'line')}, whole; the last has the digest {found.head}")
