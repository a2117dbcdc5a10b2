"""A candidate's answers, asked for exactly as the gateway asks the champion."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.events import WorkloadAdded
from shared.labels import LabelAnswer, label_answer
from shared.model_server import ModelServer


@dataclass(frozen=True)
class Scoring:
    models: ModelServer
    _token_of: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    async def answer(self, model: str, workload: WorkloadAdded, text: str) -> LabelAnswer:
        """Raises what ModelServer.score raises, and ValueError if the server returned no label's token."""
        token_of = await self._tokens(workload)
        prompt = workload.definition.prompt_for(text)
        scored = await self.models.score(model, prompt, list(token_of.values()))
        return label_answer(scored.logprobs, token_of)

    async def _tokens(self, workload: WorkloadAdded) -> dict[str, int]:
        key = workload.name, workload.revision
        if key not in self._token_of:
            base_model = workload.definition.base_model
            self._token_of[key] = {
                label: (await self.models.tokenize(base_model, answer))[0]
                for label, answer in workload.answers.items()
            }
        return self._token_of[key]
