"""What label words are worth: a champion that answers in words, one in letters, and a linear model.

All on the same rows. The champions are trained by the product's own code and defaults, then frozen, proved,
loaded and asked like any adapter.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from services.retraining import base_model
from services.retraining.candidate_training import train_candidate
from services.retraining.job_messages import TrainTask
from services.retraining.settings import Settings
from services.workloads.label_words import LETTERS, PAIRS, LabelWords
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.addresses import Addresses
from shared.events import CandidateTrained, DatasetCounts, DatasetPublished, WorkloadAdded
from shared.files import Files
from shared.intervals import paired_difference, wilson
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServer
from shared.workload import Workload
from tests.servers.model import base_model_folder, model_server

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SEED = 1
AT_ONCE = 32


@dataclass(frozen=True)
class Row:
    text: str
    label: str


def read(file: Path) -> list[Row]:
    """A CSV file with the columns text and category (or label)."""
    with file.open(encoding="utf-8-sig", newline="") as content:
        return [Row(row["text"], row.get("category") or row["label"]) for row in csv.DictReader(content)]


def drawn(rows: Sequence[Row], each: int) -> tuple[list[Row], list[Row]]:
    """`each` rows of every label, by SEED, and the others."""
    draw = random.Random(SEED)
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    taken, rest = [], []
    for label in sorted(by_label):
        shuffled = draw.sample(by_label[label], len(by_label[label]))
        taken += shuffled[:each]
        rest += shuffled[each:]
    draw.shuffle(taken)
    return taken, rest


def linear(train: Sequence[Row], judged: Sequence[Row]) -> list[str]:
    """The answers of logistic regression on TF-IDF of words, pairs of words and characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))
    model.fit([row.text for row in train], [row.label for row in train])
    return [str(answer) for answer in model.predict([row.text for row in judged])]


def words_and_letters(labels: Sequence[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What answers for each label: as the product chooses, and by one-token codes as version 0.1 did."""
    tokenizer = base_model.describe(str(folder)).tokenizer

    def tokens_of(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    choice, tokens = LabelWords(labels), dict[str, Sequence[int]]()
    while texts := choice.still_to_ask(tokens):
        tokens |= {text: tokens_of(text) for text in texts}
    codes = (f" {code}" for code in (*LETTERS, *PAIRS) if len(tokens_of(f" {code}")) == 1)
    return choice.answers(tokens), dict(zip(labels, islice(codes, len(labels)), strict=True))


@dataclass(frozen=True)
class Bench:
    folder: Path
    """Everything is written below it."""
    training: Mapping[str, Any]
    """Settings of the training section; empty: the defaults."""

    def trained(
        self, name: str, answers: Mapping[str, str], rows: Sequence[Row], base: Path
    ) -> CandidateTrained:
        files = self._files()
        frozen = files.freeze_rows(name, [{"text": row.text, "label": row.label} for row in rows])
        workload = Workload.written(
            {
                "name": name,
                "title": name,
                "prompt": "{text}\nIntent:",
                "labels": list(answers),
                "training": dict(self.training),
            }
        )
        added = WorkloadAdded(
            revision=1, definition=workload, answers=dict(answers), rows=frozen, added_at=AT
        )
        dataset = DatasetPublished(
            dataset_id=name, workload=name, version=1, cycle_id="c1", cutoff=AT, train=frozen, golden=frozen,
            held_out=frozen, manifest=frozen, counts=DatasetCounts(), published_at=AT,
        )  # fmt: skip
        job = self.folder / f"{name}-job"
        job.mkdir()
        task = TrainTask(run_id=name, dataset=dataset, added=added)
        addresses = Addresses(
            base_models=str(base.parent), files_uri=(self.folder / "files").as_uri(), state_folder=self.folder
        )
        return train_candidate(task, job, files, addresses, Settings(), lambda _: None).trained

    async def answers(self, url: str, trained: CandidateTrained, judged: Sequence[Row]) -> list[str]:
        """What the adapter answers on the model server, by its own contract."""
        async with ModelServer(url) as models:
            contract = LabelContract.of(await AdapterLoading(self._files(), models).load(trained.candidate))
            scoring, slots = LabelScoring(models), asyncio.Semaphore(AT_ONCE)

            async def answer(row: Row) -> str:
                async with slots:
                    scored = await scoring.answer(trained.candidate.name, contract, row.text)
                return scored.answer.label

            return list(await asyncio.gather(*map(answer, judged)))

    def _files(self) -> Files:
        return Files((self.folder / "files").as_uri(), self.folder / "cache")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the columns text and category")
    parser.add_argument("--train", type=int, required=True, help="rows of each label to train on")
    parser.add_argument(
        "--test", type=Path, help="CSV to judge by; default: test.csv beside, or all other rows"
    )
    parser.add_argument("--judge", type=int, help="judge by so many of these rows only, drawn at random")
    parser.add_argument("--training", type=json.loads, default={}, help="settings of [training] as JSON")
    given = parser.parse_args()
    train, judged = drawn(read(given.rows), given.train)
    beside = given.rows.with_name("test.csv")
    if given.test or (given.rows.name == "train.csv" and beside.exists()):
        judged = read(given.test or beside)
    judged = random.Random(SEED).sample(judged, min(given.judge or len(judged), len(judged)))
    labels = sorted({row.label for row in train})
    base = base_model_folder()
    words, letters = words_and_letters(labels, base)
    print(f"{len(labels)} labels, {len(train)} rows to train on, {len(judged)} to judge by")
    print(", ".join(f"{label}: {answer.strip()}" for label, answer in words.items()))
    answers = {"linear": linear(train, judged)}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.training)
        champions = {
            name: bench.trained(name, by, train, base)
            for name, by in (("words", words), ("letters", letters))
        }
        with model_server() as url:
            for name, champion in champions.items():
                answers[name] = asyncio.run(bench.answers(url, champion, judged))
        for name, champion in champions.items():
            print(f"{name}: {champion.steps} steps, {champion.seconds:.0f} s, loss {champion.final_loss:.3f}")
    right = {
        name: [answer == row.label for answer, row in zip(found, judged, strict=True)]
        for name, found in answers.items()
    }
    n = len(judged)
    for name, hits in right.items():
        rate = wilson(sum(hits), n)
        print(f"{name}: {rate.value:.1%} of {n} ({rate.low:.1%} to {rate.high:.1%})")
    pairs = list(zip(right["words"], right["linear"], strict=True))
    less = paired_difference(pairs.count((True, False)), pairs.count((False, True)), n)
    points, low, high = (f"{share * 100:+.1f}" for share in (less.delta, less.low, less.high))
    print(f"words minus linear: {points} points (95 %: {low} to {high})")
    said: dict[str, Any] = {
        "labels": len(labels),
        "train_rows": len(train),
        "steps": champions["words"].steps,
    }
    said |= {f"accuracy_{name}": round(sum(right[name]) / n, 4) for name in ("words", "letters", "linear")}
    print(json.dumps(said | {"n": n}))


if __name__ == "__main__":
    main()
