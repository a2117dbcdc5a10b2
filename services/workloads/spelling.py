"""The words in a label's name, how else they may be spelt, and the parts of a word that is too long."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

SCRIPTS_WITHOUT_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
SHORTEST_PART, LONGEST_UNSPACED_PART = 2, 4
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def words_of(label: str) -> list[str]:
    """Runs of letters (with their marks) and runs of digits, as they are written: "gpl-2.0" is gpl, 2, 0."""
    words = []
    for kind, run in groupby(label, _kind):
        if kind is not None:
            words += HUMP.split("".join(run))
    return list(dict.fromkeys(words))


def spellings_of(word: str) -> list[str]:
    """The word as it is written, in small letters, with a capital, in capitals; each once."""
    return list(dict.fromkeys([word, word.lower(), word.capitalize(), word.upper()]))


def parts_of(word: str) -> list[str]:
    """What a word begins with, longest first; where the script has no blanks, anything within it."""
    if not is_unspaced(word):
        spelt = dict.fromkeys([word, word.lower()])
        return [text[:length] for length in range(len(word) - 1, SHORTEST_PART - 1, -1) for text in spelt]
    longest = min(LONGEST_UNSPACED_PART, len(word) - 1)
    return [
        word[start : start + length]
        for length in range(longest, 0, -1)
        for start in range(len(word) - length + 1)
    ]


def is_unspaced(word: str) -> bool:
    """Whether its script writes words without blanks between them."""
    return unicodedata.name(word[0], "").startswith(SCRIPTS_WITHOUT_BLANKS)


def _kind(character: str) -> str | None:
    return {"L": "letter", "M": "letter", "N": "digit"}.get(unicodedata.category(character)[0])
