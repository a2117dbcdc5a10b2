"""Asks models on the model server: the same rows to each, many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from services.retraining.questions import Answer, Question
from shared.adapters.label_contract import LabelContract
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import NotForThisServer
from shared.backoff import SaysSeldom
from shared.events import FrozenAdapter
from shared.label_scoring import LabelScoring
from shared.model_server import ModelServerDown, ModelServerRefused, PromptTooLong, UnknownModel

PAUSE_SECONDS = 1.0
NOT_TAKEN = (ModelServerDown, ModelServerRefused, NotForThisServer)
"""Why an adapter is not loaded, that another server may make good: it is waited for."""
S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Examiner:
    """Scores one workload's questions by the models of one server. What it cannot do now is waited for."""

    def __init__(
        self,
        loading: AdapterLoading,
        at_once: int,
        patience_seconds: float,
        on_answer: Callable[[], None],
        on_wait: Callable[[str], None],
    ) -> None:
        """`on_wait` is told now and then, while the server is waited for, why: until the next answer."""
        self._loading, self._scoring = loading, LabelScoring(loading.models)
        self._at_once, self._patience = at_once, patience_seconds
        self._on_answer, self._on_wait = on_answer, on_wait
        self._one_loads = asyncio.Lock()
        self._says = SaysSeldom()

    async def load(self, adapter: FrozenAdapter) -> None:
        """Has the adapter loaded, where it stays. Raises AdapterRefused and FileNotFoundError at once if its
        files are at fault; NotForThisServer, ModelServerRefused and ModelServerDown when patience is over.
        """
        await self._waiting(partial(self._loading.load, adapter), NOT_TAKEN)

    async def context(self, base_model: str) -> int:
        """Of a base model as it is served, in tokens.

        Raises UnknownModel, and ModelServerDown when patience is over.
        """
        served = await self._waiting(self._loading.models.base_models, (ModelServerDown,))
        if base_model not in served:
            raise UnknownModel(base_model)
        return served[base_model]

    async def tokens(self, base_model: str, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is to a base model, without special ones. Raises like `context`."""

        async def counted(text: str) -> int:
            ask = partial(self._loading.models.tokenize, base_model, text)
            return len(await self._waiting(ask, (ModelServerDown,)))

        return await self._of_each(texts, counted)

    async def answers(
        self, asked: Sequence[Question], model: FrozenAdapter | str, asked_by: LabelContract
    ) -> list[Answer]:
        """One answer per question by an adapter, or by the base model of this name, under its own labels.

        Raises like `load`.
        """
        if isinstance(model, FrozenAdapter):
            await self.load(model)
        return await self._of_each(asked, lambda question: self._answer(question, model, asked_by))

    async def _of_each(self, all_: Sequence[S], ask: Callable[[S], Awaitable[T]]) -> list[T]:
        """In their order, many at a time."""
        slots = asyncio.Semaphore(self._at_once)

        async def in_turn(one: S) -> T:
            async with slots:
                return await ask(one)

        under_way = [asyncio.create_task(in_turn(one)) for one in all_]
        try:
            return await asyncio.gather(*under_way)
        finally:  # once one cannot be answered, nobody waits for the others
            for task in under_way:
                task.cancel()

    async def _answer(
        self, question: Question, model: FrozenAdapter | str, asked_by: LabelContract
    ) -> Answer:
        async def ask() -> Answer:
            try:
                return await self._scored(question, model, asked_by)
            except UnknownModel:  # the server has been restarted since
                if isinstance(model, str):
                    raise
                await self._load_again(model)
                return await self._scored(question, model, asked_by)

        answer = await self._waiting(ask, (ModelServerDown,))
        self._on_answer()
        return answer

    async def _load_again(self, adapter: FrozenAdapter) -> None:
        """Of many questions that miss it, one loads it."""
        async with self._one_loads:
            if adapter.name not in await self._loading.models.loaded():
                await self.load(adapter)

    async def _scored(
        self, question: Question, model: FrozenAdapter | str, asked_by: LabelContract
    ) -> Answer:
        name = model if isinstance(model, str) else model.name
        try:
            scored = await self._scoring.answer(name, asked_by, question.text)
        except PromptTooLong:
            return Answer(None, 0.0)
        return Answer(scored.answer.label, scored.answer.confidence)

    async def _waiting(self, ask: Callable[[], Awaitable[T]], for_now: tuple[type[Exception], ...]) -> T:
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        while True:
            try:
                return await ask()
            except for_now as error:
                if clock() > until:
                    raise
                if self._says.is_due(str(error), clock()):
                    log.warning("the evaluation waits, for %.0f s at most: %s", until - clock(), error)
                    self._on_wait(str(error))
                await asyncio.sleep(PAUSE_SECONDS)
