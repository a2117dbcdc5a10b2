"""The demo's data: short real licence notices from ScanCode's rules, split once, by seed alone.

Source: the package licensedcode-data (CC BY 4.0, nexB Inc.); the credit line stands in `licences.toml`. The
split never looks at a model's answers.
"""

from __future__ import annotations

import importlib.metadata
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from services.data_augmentation.similarity import normalised, without_near_duplicates
from services.workloads.definition import Definition, read_toml
from services.workloads.rows import LabelledRow

DEFINITION = Path(__file__).with_name("licences.toml")
LONGEST_NOTICE = 160  # characters: on two slow cores the whole loop has to fit into ten minutes
SEED = 20
RULE = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.S)

SELDOM_SEEN = {"gpl-3.0": 4, "gpl-3.0-plus": 4, "gpl-2.0-plus": 6, "agpl-3.0": 4, "lgpl-2.1-plus": 5}
"""Rows of these licences in the seed set: the first model has hardly seen them."""
SEED_ROWS = 290
STREAM_ROWS = 1000


@dataclass(frozen=True)
class Licences:
    """Four sets without a common or near-identical text of one label."""

    definition: Definition
    seed: Sequence[LabelledRow]
    golden: Sequence[LabelledRow]
    held_out: Sequence[LabelledRow]
    stream: Sequence[LabelledRow]
    """What production will see. Its labels are known to the simulated reviewers alone."""

    @property
    def rows(self) -> list[LabelledRow]:
        """What the workload is added with: everything but the stream."""
        return [*self.seed, *self.golden, *self.held_out]


def licences() -> Licences:
    """Reads the rules (a few seconds) and splits them; the same package gives the same split."""
    definition = read_toml(DEFINITION.read_bytes(), DEFINITION.name)
    labels = definition.workload.labels
    by_label: dict[str, list[str]] = defaultdict(list)
    found = sorted(set(notices(labels)))
    labels_of: dict[str, set[str]] = defaultdict(set)
    for text, label in found:
        labels_of[normalised(text)].add(label)
    for text, label in found:
        if len(labels_of[normalised(text)]) == 1:
            by_label[label].append(text)
    shuffle = random.Random(SEED)
    pool: list[tuple[str, str]] = []
    for label in labels:
        texts = without_near_duplicates(by_label[label])
        shuffle.shuffle(texts)
        pool += [(text, label) for text in texts]
    split = definition.workload.split
    golden, pool = _stratified(pool, split.golden, shuffle)
    held_out, pool = _stratified(pool, split.held_out, shuffle)
    seed, pool = _seed_rows(pool, shuffle)
    shuffle.shuffle(pool)
    return Licences(
        definition,
        [LabelledRow(*row, split="train") for row in seed],
        [LabelledRow(*row, split="golden") for row in golden],
        [LabelledRow(*row, split="held_out") for row in held_out],
        [LabelledRow(*row) for row in pool[:STREAM_ROWS]],
    )


def write_rows(rows: Sequence[LabelledRow], file: Path) -> None:
    file.write_text("".join(f"{json.dumps(row.as_json(), ensure_ascii=False)}\n" for row in rows), "utf-8")


def notices(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(text, label) of every short English notice of exactly one of these licences."""
    package = importlib.metadata.distribution("licensedcode-data")
    folder = Path(str(package.locate_file("licensedcode/data/rules")))
    wanted = set(labels)
    for path in sorted(folder.glob("*.RULE")):
        parts = RULE.match(path.read_text("utf-8"))
        if parts is None:
            continue
        head, text = yaml.load(parts.group(1), Loader=yaml.CSafeLoader), parts.group(2).strip()
        if (
            head.get("license_expression") in wanted
            and head.get("is_license_notice")
            and not head.get("is_deprecated")
            and head.get("language", "en") == "en"
            and len(text.split()) >= 4
            and len(text) <= LONGEST_NOTICE
        ):
            yield text, head["license_expression"]


def _stratified(
    pool: Sequence[tuple[str, str]], size: int, shuffle: random.Random
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """`size` rows with the pool's own shares of labels (at least 5 of each), and the rest."""
    by_label: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in pool:
        by_label[row[1]].append(row)
    quota = {label: max(5, round(size * len(rows) / len(pool))) for label, rows in by_label.items()}
    largest = max(quota, key=lambda label: quota[label])
    quota[largest] -= sum(quota.values()) - size
    taken = [row for label, rows in by_label.items() for row in rows[: quota[label]]]
    shuffle.shuffle(taken)
    return taken, [row for label, rows in by_label.items() for row in rows[quota[label] :]]


def _seed_rows(
    pool: Sequence[tuple[str, str]], shuffle: random.Random
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The seed set: few rows of SELDOM_SEEN labels, the rest from the others by their shares."""
    often = [row for row in pool if row[1] not in SELDOM_SEEN]
    seldom = [row for row in pool if row[1] in SELDOM_SEEN]
    seed, rest = _stratified(often, SEED_ROWS - sum(SELDOM_SEEN.values()), shuffle)
    for label, count in SELDOM_SEEN.items():
        rows = [row for row in seldom if row[1] == label]
        seed += rows[:count]
        rest += rows[count:]
    shuffle.shuffle(seed)
    return seed, rest
