"""What a cluster is called: its labels, and only such words of its texts as give nobody away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

from services.failure_clustering.clusters import Group

LEAST_SOURCES = 5  # people or documents that must use a word: fewer might be recognised by it
MOST_WORDS = 2
TIMES_AS_COMMON = 1.5  # as in other failures; below that a word says little ("the", "under")
LONGEST_LABEL = 80
WORD = re.compile(r"[^\W\d_]{3,30}")


@dataclass(frozen=True)
class Named:
    """A cluster's name and the words that set its texts apart."""

    name: str
    words: Sequence[str]


@dataclass(frozen=True)
class Text:
    """A failure's text, and whom or what it comes from."""

    text: str
    source: str = ""
    """A person's or a document's opaque id; empty where the prediction carries neither."""


IsPersonal = Callable[[str, Sequence[str]], bool]
"""Whether a word, in any of the texts that hold it, is part of what the redactor would replace."""


def name_groups(
    groups: Sequence[Group], texts: Sequence[Text], is_personal: IsPersonal = lambda word, holding: False
) -> list[Named]:
    """A name for each group, no two alike: "RIGHT read as ANSWER", and words where a pair has several groups.

    `texts` are those of all failures, by position.
    """
    words_of_text = [frozenset(WORD.findall(one.text.lower())) for one in texts]
    pairs = Counter((group.answer, group.right_answer) for group in groups)
    taken: set[str] = set()
    named = []
    for group in groups:
        words = _words(group, texts, words_of_text, is_personal)
        name = f"{_short(group.right_answer)} read as {_short(group.answer)}"
        if words and pairs[group.answer, group.right_answer] > 1:
            name = f"{name}: {', '.join(words)}"
        name = _distinct_name(name, taken)
        taken.add(name)
        named.append(Named(name, words))
    return named


def _words(
    group: Group,
    texts: Sequence[Text],
    words_of_text: Sequence[frozenset[str]],
    is_personal: IsPersonal,
) -> list[str]:
    """At most two words, each from at least five sources in the group, rarer in all others, and not personal.

    They are chosen by what they add to the divergence of the group from the rest (Kullback & Leibler 1951).
    """
    inside = _distinct(group.members, texts)
    outside = _distinct(set(range(len(texts))).difference(group.members), texts)
    counts = Counter(word for place in inside for word in words_of_text[place])
    others = Counter(word for place in outside for word in words_of_text[place])

    def divergence(word: str) -> float:
        here, elsewhere = counts[word] / len(inside), (others[word] + 0.5) / (len(outside) + 1)
        return here * log(here / elsewhere) if here >= TIMES_AS_COMMON * elsewhere else 0.0

    def holding(word: str) -> list[int]:
        return [place for place in group.members if word in words_of_text[place]]

    telling = [word for word, count in counts.items() if count >= LEAST_SOURCES and divergence(word) > 0]
    chosen: list[str] = []
    for word in sorted(telling, key=lambda word: (-divergence(word), -len(word), word)):
        if len(chosen) == MOST_WORDS:
            break
        places = holding(word)
        if _sources(places, texts) < LEAST_SOURCES or is_personal(
            word, [texts[place].text for place in places]
        ):
            continue
        chosen.append(word)
    return chosen


def _sources(places: Sequence[int], texts: Sequence[Text]) -> int:
    """How many people or documents these are; a text of unknown source is a source of its own."""
    return len({texts[place].source or f"text:{_normal(texts[place].text)}" for place in places})


def _distinct(places: Sequence[int] | set[int], texts: Sequence[Text]) -> list[int]:
    """One position for each different text: the same letter sent five times is one text."""
    return list({_normal(texts[place].text): place for place in places}.values())


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _distinct_name(name: str, taken: set[str]) -> str:
    number = 1
    distinct = name
    while distinct in taken:
        number += 1
        distinct = f"{name} ({number})"
    return distinct
