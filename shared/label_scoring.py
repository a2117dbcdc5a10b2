"""One text, one answer: a model's log-probabilities of the tokens that stand for a workload's labels."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self

from shared.events import WorkloadAdded
from shared.labels import LabelAnswer, label_answer
from shared.model_server import ModelServer, ModelServerRefused


class NotOneToken(ModelServerRefused):
    """A label's answer is not one token of this model, or two labels share one. Add the workload again."""


@dataclass(frozen=True)
class LabelContract:
    """How a model is asked, and how its answer is read."""

    base_model: str
    """Whose tokens the answers are."""
    before: str
    after: str
    """The prompt around the text."""
    answers: tuple[tuple[str, str], ...]
    """(label, what the model writes for it), in the workload's order."""

    @classmethod
    def of(cls, added: WorkloadAdded) -> Self:
        """The contract of a workload's definition."""
        definition = added.definition
        before, _, after = definition.prompt.partition("{text}")
        answers = tuple((label, added.answers[label]) for label in definition.labels)
        return cls(definition.base_model, before, after, answers)


@dataclass(frozen=True)
class ScoredLabel:
    answer: LabelAnswer
    prompt_tokens: int


@dataclass(frozen=True)
class LabelScoring:
    """Asks the models of one server. Which tokens a contract means is asked once and kept."""

    models: ModelServer
    _token_of: dict[LabelContract, dict[str, int]] = field(default_factory=dict)
    _asking: defaultdict[LabelContract, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def answer(self, model: str, contract: LabelContract, text: str) -> ScoredLabel:
        """The model's answer to a text, in one prefill.

        Raises NotOneToken and what ModelServer.score raises; ModelServerRefused also where the server gave
        no label's token.
        """
        token_of = self._token_of.get(contract) or await self._tokens(contract)
        prompt = f"{contract.before}{text}{contract.after}"
        scored = await self.models.score(model, prompt, list(token_of.values()))
        try:
            return ScoredLabel(label_answer(scored.logprobs, token_of), scored.prompt_tokens)
        except ValueError as error:
            raise ModelServerRefused(str(error)) from error

    async def _tokens(self, contract: LabelContract) -> dict[str, int]:
        async with self._asking[contract]:
            if contract not in self._token_of:
                self._token_of[contract] = await self._ask_for_tokens(contract)
        return self._token_of[contract]

    async def _ask_for_tokens(self, contract: LabelContract) -> dict[str, int]:
        base_model = contract.base_model
        asked = (self.models.tokenize(base_model, answer) for _, answer in contract.answers)
        token_of: dict[str, int] = {}
        for (label, answer), tokens in zip(contract.answers, await asyncio.gather(*asked), strict=True):
            if len(tokens) != 1 or tokens[0] in token_of.values():
                raise NotOneToken(
                    f"the answer {answer!r} is not one token of its own for {base_model}. Add the workload "
                    "again, so that its answers are chosen for this model."
                )
            token_of[label] = tokens[0]
        return token_of
