"""What goes into a dataset version: seed rows and corrections, each text once, no row that judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.data_augmentation.leaks import JudgingRows
from services.data_augmentation.rows import Row
from services.data_augmentation.similarity import normalised
from services.data_augmentation.split import newest_of_each
from shared.events import DatasetCounts


@dataclass(frozen=True)
class Dataset:
    """Training rows, and what became of those that are not among them."""

    train: list[Row]
    counts: DatasetCounts


def corrected_rows(corrections: Iterable[Mapping[str, Any]], texts: Mapping[str, str]) -> list[Row]:
    """Corrections ({"prediction_id", "predicted_at", "right_answer"}) with their texts, oldest first.

    Of several for one prediction the last in the list holds. A prediction whose text is not there gives a row
    without text, which is invalid.
    """
    latest = {one["prediction_id"]: one for one in corrections}
    in_order = sorted(latest.values(), key=lambda one: (one["predicted_at"], one["prediction_id"]))
    return [
        Row(texts.get(one["prediction_id"], ""), one["right_answer"], one["prediction_id"])
        for one in in_order
    ]


def build(seed: Sequence[Row], corrected: Sequence[Row], judging: Iterable[Row]) -> Dataset:
    """Puts redacted, valid rows together; of an exact text the newest row holds, corrections over seed rows.

    A seed row that is itself a judging row (a workload added again brings them along) is no leak, it is left
    out in silence.
    """
    judges = list(judging)
    own = {(normalised(row.text), row.label) for row in judges}
    seed = [row for row in seed if (normalised(row.text), row.label) not in own]
    unique = newest_of_each([*seed, *corrected])
    train = JudgingRows(judges).without_leaks(unique)
    corrections = sum(row.prediction_id is not None for row in train)
    return Dataset(
        train,
        DatasetCounts(
            seed=len(train) - corrections,
            corrected=corrections,
            duplicates=len(seed) + len(corrected) - len(unique),
            leaks_blocked=len(unique) - len(train),
        ),
    )


def label_counts(rows: Iterable[Row], labels: Sequence[str]) -> dict[str, int]:
    """Rows per label, in the workload's order, labels without rows included."""
    counted = Counter(row.label for row in rows)
    return {label: counted[label] for label in labels}
