"""Which texts are the same, and which nearly: token sets with a Jaccard similarity above 0.9.

The join is exact: prefix filter and length filter (Bayardo, Ma and Srikant 2007) only spare comparisons.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

_NO_WORD = re.compile(r"[^\w+]+")  # the "+" of "GPL v2+" is the whole difference between two licences


def normalised(text: str) -> str:
    """Lower case, one space between words, no punctuation but "+". Texts that share it are exact copies."""
    return _NO_WORD.sub(" ", text.lower()).strip()


class NearTexts:
    """Texts to find near-identical ones in: more than 9 of 10 distinct tokens of both in common."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._tokens = [frozenset(normalised(text).split()) for text in texts]
        self._frequency = Counter(token for tokens in self._tokens for token in tokens)
        self._by_token: dict[str, list[int]] = defaultdict(list)
        for number, tokens in enumerate(self._tokens):
            for token in self._prefix(tokens):
                self._by_token[token].append(number)

    def near(self, text: str) -> Iterator[int]:
        """The places of the texts that are near-identical to this one (itself too, if it is among them)."""
        tokens = frozenset(normalised(text).split())
        seen: set[int] = set()
        for token in self._prefix(tokens):
            for number in self._by_token.get(token, ()):
                if number not in seen:
                    seen.add(number)
                    if _are_near(tokens, self._tokens[number]):
                        yield number

    def _prefix(self, tokens: frozenset[str]) -> list[str]:
        """The rarest tokens: two sets that agree in 9 of 10 must share one of them."""
        rarest_first = sorted(tokens, key=lambda token: (self._frequency[token], token))
        return rarest_first[: len(tokens) - _nine_tenths(len(tokens)) + 1]


def near_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Every pair of near-identical texts, as places i < j."""
    index = NearTexts(texts)
    for j, text in enumerate(texts):
        for i in index.near(text):
            if i < j:
                yield i, j


def without_near_duplicates(texts: Iterable[str]) -> list[str]:
    """The texts, without those that are near-identical to an earlier one that stays."""
    texts = list(texts)
    nearer: dict[int, list[int]] = defaultdict(list)
    for i, j in near_pairs(texts):
        nearer[j].append(i)
    kept: set[int] = set()
    for j in range(len(texts)):
        if kept.isdisjoint(nearer[j]):
            kept.add(j)
    return [texts[j] for j in sorted(kept)]


def _are_near(a: frozenset[str], b: frozenset[str]) -> bool:
    fewer, more = sorted((len(a), len(b)))
    if fewer * 10 <= more * 9:
        return False
    common = len(a & b)
    return common * 10 > (fewer + more - common) * 9


def _nine_tenths(size: int) -> int:
    return (size * 9 + 9) // 10
