"""Which words of a cluster's texts are part of personal data, so that no name of a cluster tells them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.redaction.rules import Found

Find = Callable[[Sequence[str]], Iterator[list[Found]]]
"""What in each text the redactor would replace."""
WORD = re.compile(r"\w+")


@dataclass
class PersonalWords:
    """Answers word by word; each text is searched once."""

    find: Find | None
    """None where the redactor cannot read the workload's texts: then every word counts as personal."""
    _hidden: dict[str, frozenset[str]] = field(default_factory=dict)

    def __call__(self, word: str, holding: Sequence[str]) -> bool:
        if self.find is None:
            return True
        unread = list(dict.fromkeys(text for text in holding if text not in self._hidden))
        for text, found in zip(unread, self.find(unread) if unread else (), strict=True):
            self._hidden[text] = frozenset(
                part.lower() for one in found for part in WORD.findall(text[one.start : one.end])
            )
        return any(word in self._hidden[text] for text in holding)
