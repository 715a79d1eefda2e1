"""What commands say: every line passes here, so that nothing of others steers the terminal."""

from __future__ import annotations

from typing import Any

import click

from stellarrow.net.printable import printable


def say(text: str = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a text, in a style as click.style() takes it."""
    click.secho(printable(text), err=err, nl=nl, **style)
