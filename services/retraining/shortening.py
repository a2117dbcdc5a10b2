"""A text that is too long for training loses its middle."""

from __future__ import annotations

from collections.abc import Callable

GAP = " … "


def shortened(text: str, fits: Callable[[str], bool]) -> str | None:
    """The most of the text's beginning and end that fits; None if nothing of it does.

    `fits` counts tokens with the prompt and the answer around the text, which stay whole. Only training cuts:
    a model server refuses what is too long for its context.
    """
    if fits(text):
        return text
    if not fits(GAP):
        return None
    kept, too_many = 0, len(text)
    while too_many - kept > 1:
        tried = (kept + too_many) // 2
        if fits(_without_middle(text, tried)):
            kept = tried
        else:
            too_many = tried
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    """So many characters of it, half from each end."""
    end = kept // 2
    return f"{text[: kept - end]}{GAP}{text[len(text) - end :]}"
