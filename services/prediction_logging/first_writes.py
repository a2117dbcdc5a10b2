"""An id is one thing only: what is kept of a batch in which one id stands more than once."""

from __future__ import annotations

from collections.abc import Sequence

from shared.consumer import ConsumerRecord, Invalid
from shared.events import PredictionLogged

Key = tuple[str, str]
"""Workload and prediction id: apps may share ids."""
ANOTHER_CAME_FIRST = "prediction_id: another content came first"


def first_writes(
    consumed: Sequence[ConsumerRecord[PredictionLogged]],
) -> tuple[Sequence[ConsumerRecord[PredictionLogged]], list[Invalid]]:
    """The first record of each id, and those that say something else under it. Equal ones are dropped."""
    if len({one.event.prediction_id for one in consumed}) == len(consumed):  # as of most batches
        return consumed, []
    first: dict[Key, ConsumerRecord[PredictionLogged]] = {}
    conflicts: list[Invalid] = []
    for one in consumed:
        event = one.event
        held = first.setdefault((event.workload, event.prediction_id), one)
        if held is not one and _content(held.event) != _content(event):
            conflicts.append(Invalid(one, ANOTHER_CAME_FIRST))
    return list(first.values()), conflicts


def offset_spans(consumed: Sequence[ConsumerRecord[PredictionLogged]]) -> dict[int, tuple[int, int]]:
    """Partition → the first and the last offset of it in a batch."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for one in consumed:
        last[one.partition] = one.offset
    for one in reversed(consumed):
        first[one.partition] = one.offset
    return {number: (first[number], last[number]) for number in last}


def _content(event: PredictionLogged) -> tuple[str, str, str, float]:
    """What a review or a correction rests on. The table hashes the same, the confidence as Float32."""
    return event.input, event.answer, event.credited, event.confidence
