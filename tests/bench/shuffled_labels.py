"""How surely a training on shuffled labels is told from a good one, by so few validation rows as it has.

`python -m tests.bench.shuffled_labels --trainings N` draws rows of the demo's licence notices, splits them as
a training does and trains a linear model in place of a language model, at four strengths of which the lowest
loss on the validation rows chooses, as it chooses an epoch. Then the check of every training judges it, once
with the rows' own labels and once with the same labels shuffled. The last line is JSON: how many trainings of
either kind there were, which share of those on shuffled labels was caught, which left with a warning, and
which of the others were refused or warned of.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from deploy.demo.licences import licences
from services.retraining.guessing import doubts, share_as_good, why_not_learnt
from services.retraining.validation_split import Row, split
from shared.training.defaults import validated

LABELS = {
    "all ten": None,
    "two, alike": ("gpl-2.0", "gpl-2.0-plus"),
    "two, unlike": ("mit", "bsd-new"),
}
ROWS = (100, 200, 290)
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
UNSEEN = 6e-6
"""What a label that no training row has is given."""


@dataclass(frozen=True)
class Judged:
    is_refused: bool
    is_warned_of: bool
    accuracy: float
    """On the validation rows."""


def judged(rows: Sequence[Row], seed: int) -> Judged:
    train, validation = split(rows, validated(len(rows), None), seed)
    names = sorted({row["label"] for row in rows})
    read = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    texts, asked = (
        read.fit_transform([r["text"] for r in train]),
        read.transform([r["text"] for r in validation]),
    )
    labels = [names.index(row["label"]) for row in validation]
    tried = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=60).fit(
            texts, [names.index(r["label"]) for r in train]
        )
        logprobs = np.full((len(validation), len(names)), np.log(UNSEEN))
        logprobs[:, model.classes_] = np.log(model.predict_proba(asked).clip(UNSEEN))
        tried.append((-logprobs[range(len(labels)), labels].mean(), logprobs.tolist()))
    _, best = min(tried)
    right = sum(row.index(max(row)) == label for row, label in zip(best, labels, strict=True))
    as_good = share_as_good(best, labels)
    refused, warned = bool(why_not_learnt(as_good, labels)), bool(doubts(as_good, labels))
    return Judged(refused, warned, right / len(labels))


def drawn(pool: Sequence[Row], count: int, seed: int, *, shuffled: bool) -> list[Row]:
    chance = random.Random(seed)
    rows = chance.sample(list(pool), count)
    labels = [row["label"] for row in rows]
    if shuffled:
        chance.shuffle(labels)
    return [{"text": row["text"], "label": label} for row, label in zip(rows, labels, strict=True)]


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--trainings", type=int, default=100, help="of each kind, on so many rows")
    trainings = asked.parse_args().trainings
    data = licences()
    found: dict[bool, list[Judged]] = {True: [], False: []}
    for name, labels in LABELS.items():
        pool: list[Row] = [
            {"text": row.text, "label": row.label}
            for row in (*data.rows, *data.stream)
            if labels is None or row.label in labels
        ]
        for count in ROWS:
            for shuffled, kind in ((True, "shuffled"), (False, "good")):
                these = [
                    judged(drawn(pool, count, seed, shuffled=shuffled), seed) for seed in range(trainings)
                ]
                found[shuffled] += these
                refused, warned = shares(these)
                accuracy = sum(each.accuracy for each in these) / trainings
                print(
                    f"{name}, {count} rows, {kind}: {refused:.1%} refused, {warned:.1%} warned of, "
                    f"accuracy {accuracy:.2f}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    (caught, warned), (alarms, doubted) = shares(found[True]), shares(found[False])
    told = {"caught": caught, "warned": warned, "false_alarms": alarms, "false_warnings": doubted}
    print(json.dumps({"trainings": len(found[True])} | told))


def shares(found: Sequence[Judged]) -> tuple[float, float]:
    """Of those that were refused, and of those that left with a warning."""
    refused = sum(each.is_refused for each in found)
    warned = sum(each.is_warned_of for each in found)
    return refused / len(found), warned / len(found)


if __name__ == "__main__":
    main()
