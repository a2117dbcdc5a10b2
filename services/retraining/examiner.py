"""Asks models on the model server: the same rows to each, many at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from services.retraining.adversarial import adversarial_rows
from services.retraining.scorecard import ADVERSARIAL, GOLDEN, HELD_OUT
from shared.events import FrozenAdapter, WorkloadAdded
from shared.files import Files
from shared.label_scoring import LabelContract, LabelScoring
from shared.model_server import ModelServer, ModelServerDown, UnknownModel

PAUSE_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A row that judges models. `axis` as in `Judged`; `row` counts within the axis."""

    axis: str
    row: int
    text: str
    right_answer: str


@dataclass(frozen=True)
class Answer:
    label: str
    confidence: float


def questions(
    held_out: Sequence[Mapping[str, Any]], golden: Sequence[Mapping[str, Any]], added: WorkloadAdded
) -> list[Question]:
    """Held-out rows (at most as many as the workload says), golden rows, and adversarial rows made of those.

    Labels go by their names of now; rows whose label the workload no longer has are left out.
    """

    def labelled(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
        return [(row["text"], row["label"]) for row in added.definition.in_present_labels(rows)]

    kept = labelled(golden)
    axes = {HELD_OUT: labelled(held_out)[: added.definition.split.held_out], GOLDEN: kept}
    harder = adversarial_rows(kept, added.definition.labels, seed=added.name)
    axes |= {f"{ADVERSARIAL}{name}": rows for name, rows in harder.items()}
    return [
        Question(axis, row, text, label)
        for axis, rows in axes.items()
        for row, (text, label) in enumerate(rows)
    ]


def questions_digest(asked: Sequence[Question], added: WorkloadAdded) -> str:
    """Names exactly what was asked: the rows, the prompt around them and the answers to choose from."""
    everything = {
        "questions": [asdict(question) for question in asked],
        "prompt": added.definition.prompt,
        "answers": added.answers,
    }
    said = json.dumps(everything, sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}"


class Examiner:
    """Scores one workload's questions by the models of one server. A server that is down is waited for."""

    def __init__(
        self,
        models: ModelServer,
        files: Files,
        added: WorkloadAdded,
        at_once: int,
        patience_seconds: float,
        on_answer: Callable[[], None],
    ) -> None:
        self._models, self._files, self._added = models, files, added
        self._at_once, self._patience, self._on_answer = at_once, patience_seconds, on_answer
        self._scoring, self._contract = LabelScoring(models), LabelContract.of(added)

    async def answers(self, asked: Sequence[Question], adapter: FrozenAdapter | None) -> list[Answer]:
        """One answer per question, by the adapter or, without one, by the untouched base model.

        The adapter stays loaded. Raises NotOneToken, PromptTooLong, ModelServerRefused, DigestMismatch, and
        ModelServerDown when patience is over.
        """
        if adapter is not None:
            await self._waiting(partial(self._load, adapter))
        name = adapter.name if adapter else self._added.definition.base_model
        slots = asyncio.Semaphore(self._at_once)
        return await asyncio.gather(*(self._answer(question, name, adapter, slots) for question in asked))

    async def _answer(
        self, question: Question, name: str, adapter: FrozenAdapter | None, slots: asyncio.Semaphore
    ) -> Answer:
        async def ask() -> Answer:
            try:
                scored = await self._scoring.answer(name, self._contract, question.text)
            except UnknownModel:  # the server has been restarted since
                if adapter is None:
                    raise
                await self._load(adapter)
                scored = await self._scoring.answer(name, self._contract, question.text)
            return Answer(scored.answer.label, scored.answer.confidence)

        async with slots:
            answer = await self._waiting(ask)
        self._on_answer()
        return answer

    async def _load(self, adapter: FrozenAdapter) -> None:
        folder = await asyncio.to_thread(self._files.folder_for_models, adapter)
        await self._models.load_adapter(adapter.name, folder)

    async def _waiting(self, ask: Callable[[], Awaitable[T]]) -> T:
        until = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await ask()
            except ModelServerDown:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
