"""Asks the model server, before anything is trained, whether a workload will do, and how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.workloads import model_limits
from services.workloads.complaints import BadWorkload, Complaint
from services.workloads.given_answers import Given
from services.workloads.label_words import LabelWords, NoTokenLeft, words_instead
from services.workloads.published_views import PublishedViews
from services.workloads.rows import LabelledRow
from shared.adapters.tokenizer_digest import PROBES, tokenizer_digest
from shared.events import WorkloadAdded
from shared.model_server import ModelServer, ModelServerRefused, PromptTooLong
from shared.training.time import expected_minutes
from shared.workload import Workload

SAMPLE = 16
AT_ONCE = 32


@dataclass(frozen=True)
class Speed:
    """How fast this machine's model server reads, measured on a sample of the rows."""

    tokens_per_second: float
    tokens_per_row: float


@dataclass(frozen=True)
class Answers:
    """What the model writes for each label, and whose tokens these are."""

    by_label: dict[str, str]
    tokenizer_digest: str
    words_to_name: dict[str, str]
    """Label that a letter answers since an earlier revision → the word it would get now."""


@dataclass(frozen=True)
class Checking:
    models: ModelServer
    views: PublishedViews
    _speeds: dict[tuple[str, str], Speed] = field(default_factory=dict)
    """Base model and rows' digest → what was measured: adding after a check measures nothing again."""

    async def answers(self, workload: Workload, revisions: Sequence[WorkloadAdded]) -> Answers:
        """The token of each label; `revisions` are those before. Raises BadWorkload, ModelServerDown."""
        base_model = workload.base_model
        base_models = await self.models.base_models()
        training, server = await self.views.training_limits(), await self.models.limits()
        if found := model_limits.complaints(workload, base_models, training.lora_rank, server):
            raise BadWorkload(found)
        digest = tokenizer_digest(await self._tokens(base_model, PROBES))
        given = Given.by(revisions, workload, digest)
        choice = LabelWords(workload.labels, workload.words, given)
        token_ids: dict[str, Sequence[int]] = {}
        try:
            answers = await self._chosen(choice, base_model, token_ids)
            afresh = await self._chosen(choice.with_words_for_letters(), base_model, token_ids)
        except NoTokenLeft as error:
            raise BadWorkload([Complaint("labels", str(error))]) from None
        allowed = [token_ids[answer][0] for answer in answers.values()]
        try:
            await self.models.score(base_model, workload.prompt_for("?"), allowed)
        except PromptTooLong as error:
            raise BadWorkload([Complaint("prompt", f"{error}. Shorten it.")]) from None
        except ModelServerRefused as error:
            raise BadWorkload([model_limits.too_many_labels(len(allowed), str(error)[:200])]) from None
        return Answers(answers, digest, words_instead(answers, afresh))

    async def _chosen(
        self, choice: LabelWords, base_model: str, token_ids: dict[str, Sequence[int]]
    ) -> dict[str, str]:
        while texts := choice.still_to_ask(token_ids):
            token_ids |= zip(texts, await self._tokens(base_model, texts), strict=True)
        return choice.answers(token_ids)

    async def texts_fit(self, workload: Workload, rows: Sequence[LabelledRow]) -> None:
        """Raises BadWorkload with every text that does not fit the model's context, in tokens."""
        context = (await self.models.base_models())[workload.base_model]
        long = [row for row in rows if not model_limits.surely_fits(workload.prompt_for(row.text), context)]
        counted = await self._tokens(workload.base_model, [workload.prompt_for(row.text) for row in long])
        complaints = [
            model_limits.too_long(row.text, len(tokens), context, workload.base_model)
            for row, tokens in zip(long, counted, strict=True)
            if not model_limits.fits(len(tokens), context)
        ]
        if complaints:
            raise BadWorkload(complaints)

    async def expected_minutes(self, workload: Workload, rows: Sequence[LabelledRow], digest: str) -> float:
        """Minutes until the first model is judged, on this machine."""
        key = workload.base_model, digest
        if key not in self._speeds:
            self._speeds[key] = await self._measured(workload, rows)
        speed = self._speeds[key]
        return expected_minutes(workload, len(rows), speed.tokens_per_row, speed.tokens_per_second)

    async def _measured(self, workload: Workload, rows: Sequence[LabelledRow]) -> Speed:
        sample = rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]
        some_token = (await self.models.tokenize(workload.base_model, " A"))[:1]
        prompts = [workload.prompt_for(row.text) for row in sample]
        start = time.perf_counter()
        scored = await asyncio.gather(
            *(self.models.score(workload.base_model, prompt, some_token) for prompt in prompts)
        )
        read = sum(one.prompt_tokens for one in scored)
        return Speed(read / (time.perf_counter() - start), read / len(scored))

    async def _tokens(self, base_model: str, texts: Sequence[str]) -> list[list[int]]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def of(text: str) -> list[int]:
            async with slots:
                return await self.models.tokenize(base_model, text)

        return list(await asyncio.gather(*map(of, texts)))
