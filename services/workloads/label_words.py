"""One token for each label: a word of its own where there is one, else a letter; once given it stays.

The verbaliser of pattern-exploiting training (Schick and Schütze 2021): a small model that answers in words
which mean something needs a fraction of the steps that letters cost it.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import log2

from services.workloads.assignment import cheapest_assignment
from services.workloads.complaints import BadWorkload, Complaint
from services.workloads.given_answers import NOTHING_GIVEN, Given
from services.workloads.spelling import is_unspaced, parts_of, spellings_of, words_of
from services.workloads.stop_words import STOP_WORDS

Tokens = Mapping[str, Sequence[int]]
"""Text → its tokens, without special ones."""

NO_WORDS = (" ", "  ", "\n", "\t", "\ue000", " \ue000", "𓀀", "ꙮ")
"""White space and characters that no label holds: what a tokenizer makes of them (`<unk>`) says nothing."""
LETTERS = tuple(string.ascii_uppercase + string.ascii_lowercase)
PAIRS = tuple(a + b for a, b in product(string.ascii_uppercase, repeat=2))
CODES = frozenset((*LETTERS, *PAIRS))

# What makes a word a poor answer. The least total over all labels is chosen.
SHARED = 60  # times log2 of the labels that could be answered by it: the rarest are the most telling
LONG = 8
SHORT = 6  # for each letter that it is shorter
OTHER_SPELLING = 40  # " ATM" for atm
SECOND_SPELLING = 300  # " Wrong" beside " wrong": easily confused
UNSPACED = 30  # "atm": text seldom goes on without a blank, where the script has blanks
NUMBER = 200  # the 2 of gpl-2.0
PART = 250  # " contact" for contactless
COMMON = 400  # " for", " not"
STUB, STUB_LETTERS = 500, 3  # " re" for reverted
NO_WORD_AT_ALL = 100_000


class NoTokenLeft(Exception):
    """The tokenizer has fewer words and single-token codes than the workload has labels."""


@dataclass(frozen=True)
class LabelWords:
    """The choice of one token for each label; `named` are the words that the owner wants for some of them."""

    labels: Sequence[str]
    named: Mapping[str, str] = field(default_factory=dict)
    given: Given = NOTHING_GIVEN

    def still_to_ask(self, tokens: Tokens) -> list[str]:
        """The texts whose tokens must be known too before `answers` can choose; empty when it can."""
        wanted = dict.fromkeys([*NO_WORDS, *self.given.owner_of])
        wanted |= dict.fromkeys(_both(self.named.values()))
        words = {word for label in self._open() for word in words_of(label)}
        wanted |= dict.fromkeys(f" {text}" for word in sorted(words) for text in spellings_of(word))
        if missing := [text for text in wanted if text not in tokens]:
            return missing
        split = sorted(word for word in words if not self._is_whole(word, tokens))
        wanted = dict.fromkeys(text for word in split for text in _texts_of_split(word))
        if missing := [text for text in wanted if text not in tokens]:
            return missing
        if len(self._matched(tokens)) == len(self.labels):
            return []
        if missing := [text for text in _both(LETTERS) if text not in tokens]:
            return missing
        if len(self._matched(tokens)) + len(list(self._free_codes(tokens))) >= len(self.labels):
            return []
        return [text for text in _both(PAIRS) if text not in tokens]

    def answers(self, tokens: Tokens) -> dict[str, str]:
        """What the model writes for each label, always one token and never the same twice.

        A label of an earlier revision keeps what it has, unless its owner names another word. The others get
        words of their own, such that rare, long and whole words win over common, short and broken ones; a
        label for which none is left gets a letter. Raises NoTokenLeft, and BadWorkload for named words.
        """
        if complaints := self._wrong_names(tokens):
            raise BadWorkload(complaints)
        found = self._matched(tokens)
        codes = self._free_codes(tokens)
        answers = {label: found.get(label) or next(codes, "") for label in self.labels}
        if not all(answers.values()):
            available = sum(bool(answer) for answer in answers.values())
            raise NoTokenLeft(
                f"{len(self.labels)} labels, but this model's tokenizer has words and codes of one token for "
                f"only {available}. Use fewer labels or another base model."
            )
        return answers

    def with_words_for_letters(self) -> LabelWords:
        """The choice as it were if labels that a letter answers were asked anew."""
        kept = {label: answer for label, answer in self.given.kept.items() if not is_code(answer)}
        return replace(self, given=replace(self.given, kept=kept))

    def _open(self) -> list[str]:
        """The labels for which nothing stands yet."""
        return [label for label in self.labels if label not in self.given.kept and label not in self.named]

    def _standing(self, tokens: Tokens) -> dict[str, str]:
        """What is kept and what is named: not chosen here."""
        kept = {label: self.given.kept[label] for label in self.labels if label in self.given.kept}
        named = {label: word for label, word in self.named.items() if kept.get(label, "").strip() != word}
        return kept | {label: _as_answer(word, tokens) for label, word in named.items()}

    def _matched(self, tokens: Tokens) -> dict[str, str]:
        """Label → what the model writes, for all that need no code."""
        standing = self._standing(tokens)
        taken = _nothing(tokens) | {_only(answer, tokens) for answer in standing.values()}
        past = self._past(tokens)
        texts: dict[str, dict[int, tuple[int, str]]] = {}
        for label in sorted(self._open()):  # of equal totals the same one, in whatever order labels stand
            texts[label] = {}
            for cost, text in _candidates(label, tokens):
                token = tokens[text][0]
                if token in taken or past.get(token, label) != label:
                    continue
                if token not in texts[label] or cost < texts[label][token][0]:
                    texts[label][token] = cost, text
        shared_by = Counter(token for found in texts.values() for token in found)
        costs = {
            label: {token: cost + int(SHARED * log2(shared_by[token])) for token, (cost, _) in found.items()}
            for label, found in texts.items()
        }
        chosen = cheapest_assignment(costs, NO_WORD_AT_ALL)
        return standing | {label: texts[label][token][1] for label, token in chosen.items()}

    def _free_codes(self, tokens: Tokens) -> Iterator[str]:
        used: set[int | None] = {_only(answer, tokens) for answer in self._matched(tokens).values()}
        used |= _nothing(tokens) | self._past(tokens).keys()
        for code in (*LETTERS, *PAIRS):
            token = _only(answer := _as_answer(code, tokens), tokens)
            if token is not None and token not in used:
                used.add(token)  # "a" is the token of "A" where a tokenizer knows small letters alone
                yield answer

    def _past(self, tokens: Tokens) -> dict[int, str | None]:
        """Token → the label that an earlier revision gave it to; nobody else gets it."""
        return {
            token: owner
            for answer, owner in self.given.owner_of.items()
            if (token := _only(answer, tokens)) is not None
        }

    def _is_whole(self, word: str, tokens: Tokens) -> bool:
        return any(len(tokens[f" {text}"]) == 1 for text in spellings_of(word))

    def _wrong_names(self, tokens: Tokens) -> list[Complaint]:
        """What is wrong with the words that the owner names, a sentence each."""
        wrong = []
        meant = {_only(text, tokens): label for label, text in self._standing(tokens).items()}
        past, nothing = self._past(tokens), _nothing(tokens)
        for label, word in self.named.items():
            token = _only(self._standing(tokens)[label], tokens)
            if token is None or token in nothing:
                pieces = len(tokens[f" {word}"])
                why = (
                    f"is {pieces} tokens of this model, not one" if pieces > 1 else "is unknown to this model"
                )
                wrong.append(
                    f'"{word}" for "{label}" {why}. Name another word, or leave it out and one is chosen.'
                )
            elif meant[token] != label or past.get(token, label) != label:
                other = meant[token] if meant[token] != label else past[token] or "a label of before"
                wrong.append(
                    f'"{word}" for "{label}" stands for "{other}": a token keeps its meaning for good. Name '
                    "another word."
                )
        return [Complaint("words", problem) for problem in wrong]


def is_code(answer: str) -> bool:
    return answer.strip() in CODES


def words_instead(answers: Mapping[str, str], afresh: Mapping[str, str]) -> dict[str, str]:
    """Label → the word its owner may name: for labels that a letter answers and `afresh` has a word for."""
    return {
        label: afresh[label].strip()
        for label, answer in answers.items()
        if is_code(answer) and not is_code(afresh[label])
    }


def _candidates(label: str, tokens: Tokens) -> Iterator[tuple[int, str]]:
    """(cost, text) of every one-token text that could stand for a label, by itself."""
    for word in words_of(label):
        spelling = 0
        for text in spellings_of(word):
            answer = _as_answer(text, tokens)
            if _only(answer, tokens) is not None:
                unspaced = 0 if answer.startswith(" ") or is_unspaced(word) else UNSPACED
                yield _cost(text) + spelling + unspaced, answer
                spelling = max(spelling, SECOND_SPELLING)
            else:
                spelling += OTHER_SPELLING
        for part in parts_of(word):
            answer = _as_answer(part, tokens)
            if _only(answer, tokens) is not None and (answer.startswith(" ") or is_unspaced(word)):
                yield (
                    _cost(part) + (STUB if len(part) <= STUB_LETTERS and not is_unspaced(word) else PART),
                    answer,
                )


def _cost(text: str) -> int:
    kind = COMMON if text.lower() in STOP_WORDS else NUMBER if text.isdigit() else 0
    return kind + SHORT * max(0, LONG - len(text))


def _texts_of_split(word: str) -> Iterable[str]:
    """What to ask besides of a word that is no single token after a blank, in any spelling."""
    yield from spellings_of(word)
    for part in parts_of(word):
        yield f" {part}"
        if is_unspaced(word):
            yield part


def _nothing(tokens: Tokens) -> set[int]:
    """Tokens that no label is answered by."""
    return {token for text in NO_WORDS for token in tokens.get(text, ())}


def _both(words: Iterable[str]) -> list[str]:
    """After a blank and without one: some tokenizers put a blank before every text themselves."""
    return [text for word in words for text in (f" {word}", word)]


def _only(text: str, tokens: Tokens) -> int | None:
    """The token of a text that is one; None if it is several, or was not asked."""
    ids = tokens.get(text, ())
    return ids[0] if len(ids) == 1 else None


def _as_answer(word: str, tokens: Tokens) -> str:
    return word if _only(f" {word}", tokens) is None and _only(word, tokens) is not None else f" {word}"
