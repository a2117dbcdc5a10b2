"""The terminal that commands write to: what others wrote is shown on it, and does nothing to it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves the cursor, sets colours or titles, rings, or turns the direction of writing: C0 and C1 without
tab and line feed, and Unicode's bidirectional controls."""


class Terminal(Console):
    """rich's own codes pass, as they do not stand within a text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for one in super().render(renderable, options):
            yield one if one.control else Segment(visible(one.text), one.style)


def visible(text: str) -> str:
    """The text with a picture in the place of each character that a terminal would obey."""
    return OBEYED.sub(_picture, text)


def escaped(document: str) -> str:
    """A JSON document that says the same without any of those characters."""
    return OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "�"
