"""One reviewer's way through the queue: what each key means, the next item, undo and skip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.console.page_queries import Item

UNDO, SKIP, FIND = "u", "s", "/"
KEYS = "123456789" + "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in (UNDO, SKIP))
MOST_PAST = 400
AHEAD = 2  # items that wait behind the one on the page


@dataclass(frozen=True)
class Choice:
    """A label, the key that gives it, and how likely the model found it (None where it must not show)."""

    key: str
    label: str
    share: float | None
    is_answer: bool


def choices(item: Item, labels: Sequence[str]) -> list[Choice]:
    """The labels in the workload's order, so that a key means the same on every item.

    A pair is reviewed blind: its two options come first and nothing shows which model said which, nor how
    sure it was. Past 33 labels there are no keys left (empty): one types to find those. An answer that is no
    label of the workload (any more) cannot be right, so it is not offered.
    """
    if is_blind(item):
        options = [label for label in item.options if label in labels]
        ordered = [*options, *(label for label in labels if label not in options)]
    else:
        ordered = list(labels)
    keys = [*KEYS, *("" for _ in ordered)]
    shown = not is_blind(item)
    return [
        Choice(
            key,
            label,
            item.probabilities.get(label, 0.0) if shown and item.probabilities else None,
            shown and label == item.answer,
        )
        for key, label in zip(keys, ordered, strict=False)
    ]


def is_blind(item: Item) -> bool:
    return item.kind == "pair"


def found(offered: Sequence[Choice], typed: str) -> list[Choice]:
    """The choices whose label holds what was typed; those that begin with it come first."""
    wanted = typed.strip().casefold()
    hits = [choice for choice in offered if wanted in choice.label.casefold()]
    return sorted(hits, key=lambda choice: not choice.label.casefold().startswith(wanted))


@dataclass
class Sitting:
    """What one reviewer did since opening the page. The view of the queue lags behind, so this remembers."""

    reviewer: str
    _queue: list[Item] = field(default_factory=list)
    _answered: list[tuple[Item, str]] = field(default_factory=list)
    _skipped: list[str] = field(default_factory=list)

    @property
    def item(self) -> Item | None:
        """The one on the page."""
        return self._queue[0] if self._queue else None

    @property
    def given(self) -> int:
        return len(self._answered)

    @property
    def skipped(self) -> int:
        return len(self._skipped)

    @property
    def wants_more(self) -> bool:
        return len(self._queue) <= AHEAD

    def past(self) -> list[str]:
        """Ids of what must not be offered again: waiting, or lately answered or skipped.

        At most some 800, since ClickHouse takes no parameter above 128 KiB; the view has long caught up with
        what was answered before those.
        """
        answered = [item.prediction_id for item, _ in self._answered[-MOST_PAST:]]
        return [*answered, *self._skipped[-MOST_PAST:], *(item.prediction_id for item in self._queue)]

    def offer(self, items: Iterable[Item]) -> None:
        """Appends items that are not known yet."""
        known = {*self.past(), *self._skipped, *(item.prediction_id for item, _ in self._answered)}
        self._queue.extend(item for item in items if item.prediction_id not in known)

    def answer(self, right_answer: str) -> None:
        """The item on the page has its answer; the next one takes its place."""
        self._answered.append((self._queue.pop(0), right_answer))

    def skip(self) -> None:
        """Leaves the item to others, or to this reviewer another day."""
        self._skipped.append(self._queue.pop(0).prediction_id)

    def undo(self) -> str | None:
        """Puts the last answered item back on the page and gives the answer it had; None if there is none.

        What was said stays said until another answer replaces it.
        """
        if not self._answered:
            return None
        item, answer = self._answered.pop()
        self._queue.insert(0, item)
        return answer
