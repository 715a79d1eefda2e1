"""A console of rich, to which texts of others are as harmless as in say()."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from stellarrow.net.printable import printable


class Page(Console):
    """Draws tables and styled text; what would steer the terminal is written as an escape."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, str):
            renderable = printable(renderable)
        elif isinstance(renderable, Text) and (plain := printable(renderable.plain)) != renderable.plain:
            renderable = renderable.blank_copy(plain)  # before it is cut into lines, as escapes are longer
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
