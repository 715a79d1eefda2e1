"""A console of rich, to which texts of others are as harmless as in say()."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from stellarrow.net.printable import printable


class Page(Console):
    """Draws tables and styled text; what would steer the terminal is written as an escape."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
