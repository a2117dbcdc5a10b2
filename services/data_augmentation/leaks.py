"""What must not get into training: the rows that judge a model, and anything near-identical to them.

Exact copies are kept out whatever their label. Near-identical texts only where the label is the same: "GPL 2"
and "GPL 3" notices differ in one word, and that contrast is what a model has to learn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from services.data_augmentation.rows import Row
from services.data_augmentation.similarity import NearTexts, normalised


class JudgingRows:
    """Golden and held-out rows, to hold training rows against."""

    def __init__(self, rows: Iterable[Row]) -> None:
        by_label: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_label[row.label].append(row.text)
        self._exact = {normalised(text) for texts in by_label.values() for text in texts}
        self._near = {label: NearTexts(texts) for label, texts in by_label.items()}

    def leaks(self, row: Row) -> bool:
        """True if training on this row would give away the answer to one of the judging rows."""
        if normalised(row.text) in self._exact:
            return True
        near = self._near.get(row.label)
        return near is not None and next(near.near(row.text), None) is not None

    def without_leaks(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if not self.leaks(row)]
