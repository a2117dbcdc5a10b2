"""Tables as text: side by side where that fits, one under the other where it does not, never cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = 2


def print_table(console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As wide as the terminal allows. In a pipe a row is always one line, however long."""
    width = console.width if console.is_terminal else None
    lines = [[" ".join(cell.splitlines()) for cell in row] for row in rows]  # no cell makes a row of its own
    for line, is_heading in laid_out(headers, lines, width):
        text = Text(line, style="bold" if is_heading else "")
        console.print(text, soft_wrap=True, highlight=False)


def laid_out(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> list[tuple[str, bool]]:
    """Lines, and whether each is a heading. The first column names a row; names are never broken."""
    side_by_side = _side_by_side([headers, *rows])
    if width is None or max(map(cell_len, side_by_side)) <= width:
        return [(line, number == 0) for number, line in enumerate(side_by_side)]
    label_width = max(map(cell_len, headers[1:])) + 2 * GAP
    lines: list[tuple[str, bool]] = []
    for name, *cells in rows:
        lines.append((name, True))
        for header, cell in zip(headers[1:], cells, strict=True):
            lines += [(line, False) for line in _entry(header, cell, label_width, width)]
    return lines


def _side_by_side(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell) + GAP)


def _entry(header: str, cell: str, label_width: int, width: int) -> list[str]:
    """One cell under its row's name, wrapped between words; on lines of its own if a word is too wide."""
    label = " " * GAP + header.ljust(label_width - GAP)
    room = width - label_width
    if max(map(cell_len, cell.split()), default=0) > room:
        indent = " " * 2 * GAP
        return [label.rstrip(), *(indent + part for part in _wrapped(cell, width - 2 * GAP))]
    first, *others = _wrapped(cell, room)
    return [(label + first).rstrip(), *(" " * label_width + part for part in others)]


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, max(1, width), break_long_words=False, break_on_hyphens=False) or [""]
