"""One reviewer's way through the queue: what each key means, the next item, undo and skip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

UNDO, SKIP, FIND = "u", "s", "/"
KEYS = "123456789" + "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in (UNDO, SKIP))
MOST_NAMED = 200  # human_review takes no longer list of what not to give
FOR_GOOD = datetime.max.replace(tzinfo=UTC)
AHEAD = 2  # items that wait behind the one on the page


@dataclass(frozen=True)
class Item:
    """One prediction to review, with the text that its reviewer reads and the labels to choose from."""

    prediction_id: str
    kind: str
    text: str
    options: Sequence[str]
    """For a pair: the two answers, not saying which model gave which."""
    labels: Sequence[str]
    predicted_at: datetime
    held_until: datetime
    """Until then nobody else is given it."""
    answer: str | None = None
    """Of a pair neither this nor the probabilities are told."""
    probabilities: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Choice:
    """A label, the key that gives it, and how likely the model found it (None where it must not show)."""

    key: str
    label: str
    share: float | None
    is_answer: bool


def choices(item: Item) -> list[Choice]:
    """The labels in the workload's order, so that a key means the same on every item.

    A pair is reviewed blind: its two options come first and nothing shows which model said which, nor how
    sure it was. Past 33 labels there are no keys left (empty): one types to find those. An answer that is no
    label of the workload (any more) cannot be right, so it is not offered.
    """
    if is_blind(item):
        options = [label for label in item.options if label in item.labels]
        ordered = [*options, *(label for label in item.labels if label not in options)]
    else:
        ordered = list(item.labels)
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
    """What one reviewer did since opening the page, and the items that are held for them meanwhile."""

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
        """Ids of what must not be given again: what waits here, then the latest that were skipped.

        The queue itself knows what was answered. What was skipped long ago it gives when all else is done.
        """
        waiting = [item.prediction_id for item in self._queue]
        return [*waiting, *self._skipped[::-1]][:MOST_NAMED]

    def offer(self, item: Item) -> bool:
        """Takes the item to the end of what waits; False if this reviewer has, had or skipped it already."""
        known = {one.prediction_id for one in self._queue} | {one.prediction_id for one, _ in self._answered}
        if item.prediction_id in known or item.prediction_id in self._skipped:
            return False
        self._queue.append(item)
        return True

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
        self._queue.insert(0, replace(item, held_until=FOR_GOOD))  # it is this reviewer's, whoever asks
        return answer

    def let_go(self, now: datetime) -> Item | None:
        """Forgets what is held no longer, since others may have it now.

        Gives the item on the page if that is one of them; then nothing is left that waits behind it, so that
        it comes back first if nobody took it.
        """
        shown = self.item
        if shown is not None and now >= shown.held_until:
            self._queue.clear()
            return shown
        self._queue = [item for item in self._queue if now < item.held_until]
        return None
