"""What a cluster is called: its labels, and only such words of its texts as give nobody away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from services.failure_clustering.clusters import Group

LEAST_TEXTS = 5  # in which a word must stand: fewer people than that might be recognised by it
MOST_WORDS = 2
TIMES_AS_COMMON = 1.5  # as in other failures; below that a word says little ("the", "under")
LONGEST_LABEL = 80
WORD = re.compile(r"[^\W\d_]{3,30}")


@dataclass(frozen=True)
class Named:
    """A cluster's name and the words that set its texts apart."""

    name: str
    words: Sequence[str]


def name_groups(groups: Sequence[Group], texts: Sequence[str]) -> list[Named]:
    """A name for each group, no two alike: "RIGHT read as ANSWER", and words where a pair has several groups.

    `texts` are those of all failures, by position.
    """
    words_of_text = [frozenset(WORD.findall(text.lower())) for text in texts]
    pairs = Counter((group.answer, group.right_answer) for group in groups)
    taken: set[str] = set()
    named = []
    for group in groups:
        words = _words(group, texts, words_of_text)
        name = f"{_short(group.right_answer)} read as {_short(group.answer)}"
        if words and pairs[group.answer, group.right_answer] > 1:
            name = f"{name}: {', '.join(words)}"
        name = _distinct(name, taken)
        taken.add(name)
        named.append(Named(name, words))
    return named


def _words(group: Group, texts: Sequence[str], words_of_text: Sequence[frozenset[str]]) -> list[str]:
    """At most two words, each in at least five different texts of the group and rarer in all others.

    They are chosen by what they add to the divergence of the group from the rest (Kullback & Leibler 1951).
    """
    inside = _distinct_texts(group.members, texts)
    outside = _distinct_texts(set(range(len(texts))).difference(group.members), texts)
    counts = Counter(word for place in inside for word in words_of_text[place])
    others = Counter(word for place in outside for word in words_of_text[place])

    def divergence(word: str) -> float:
        here, elsewhere = counts[word] / len(inside), (others[word] + 0.5) / (len(outside) + 1)
        return here * log(here / elsewhere) if here >= TIMES_AS_COMMON * elsewhere else 0.0

    telling = [word for word, count in counts.items() if count >= LEAST_TEXTS and divergence(word) > 0]
    return sorted(telling, key=lambda word: (-divergence(word), -len(word), word))[:MOST_WORDS]


def _distinct_texts(places: Sequence[int] | set[int], texts: Sequence[str]) -> list[int]:
    """One position for each different text: the same letter sent five times is one text."""
    return list({" ".join(texts[place].lower().split()): place for place in places}.values())


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _distinct(name: str, taken: set[str]) -> str:
    number = 1
    distinct = name
    while distinct in taken:
        number += 1
        distinct = f"{name} ({number})"
    return distinct
