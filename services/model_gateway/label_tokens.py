"""Which token stands for each label of a workload, asked of the model server once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from shared.events import WorkloadAdded
from shared.model_server import ModelServer, ModelServerRefused


@dataclass
class LabelTokens:
    models: ModelServer
    _known: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    _asking: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def of(self, workload: WorkloadAdded) -> dict[str, int]:
        """Label → token id, in the workload's order.

        Raises what ModelServer.tokenize raises, and ModelServerRefused if an answer is not one token.
        """
        if (known := self._known.get(workload.name)) and known[0] == workload.revision:
            return known[1]
        async with self._asking[workload.name]:
            if (known := self._known.get(workload.name)) and known[0] == workload.revision:
                return known[1]
            base = workload.definition.base_model
            labels = workload.definition.labels
            answers = [workload.answers[label] for label in labels]
            tokens = await asyncio.gather(*(self.models.tokenize(base, answer) for answer in answers))
            if not_one := [answer for answer, token in zip(answers, tokens, strict=True) if len(token) != 1]:
                raise ModelServerRefused(
                    f"workload {workload.name}: {not_one[0]!r} is not one token of {base}. Add it anew."
                )
            token_of = {label: token[0] for label, token in zip(labels, tokens, strict=True)}
            self._known[workload.name] = (workload.revision, token_of)
            return token_of
