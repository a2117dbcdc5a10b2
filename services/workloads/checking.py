"""Asks the model server, before anything is trained, whether a workload will do, and how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.workloads import model_limits
from services.workloads.answer_tokens import Given, NoTokenLeft, answers_for, candidate_answers
from services.workloads.complaints import BadWorkload, Complaint
from services.workloads.published_views import PublishedViews
from services.workloads.rows import LabelledRow
from shared.model_server import ModelServer, ModelServerRefused
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
class Checking:
    models: ModelServer
    views: PublishedViews
    _speeds: dict[tuple[str, str], Speed] = field(default_factory=dict)
    """Base model and rows' digest → what was measured: adding after a check measures nothing again."""

    async def answers(self, workload: Workload, given: Given) -> dict[str, str]:
        """The token of each label. Raises BadWorkload, ModelServerDown."""
        base_models = await self.models.base_models()
        limits = await self.views.training_limits()
        if found := model_limits.complaints(workload, base_models, limits.lora_rank):
            raise BadWorkload(found)
        candidates = candidate_answers(workload.labels, given)
        token_ids = dict(zip(candidates, await self._tokens(workload.base_model, candidates), strict=True))
        try:
            answers = answers_for(workload.labels, token_ids.__getitem__, given)
        except NoTokenLeft as error:
            raise BadWorkload([Complaint("labels", str(error))]) from None
        allowed = [token_ids[answer][0] for answer in answers.values()]
        try:
            await self.models.score(workload.base_model, workload.prompt_for("?"), allowed)
        except ModelServerRefused as error:
            raise BadWorkload([model_limits.too_many_labels(len(allowed), str(error)[:200])]) from None
        return answers

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
