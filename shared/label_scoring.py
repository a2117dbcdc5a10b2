"""One text, one answer: a model's log-probabilities of the tokens that stand for an adapter's labels."""

from __future__ import annotations

from dataclasses import dataclass

from shared.adapters.label_contract import LabelContract
from shared.labels import LabelAnswer, label_answer
from shared.model_server import ModelServer, ModelServerRefused


@dataclass(frozen=True)
class ScoredLabel:
    answer: LabelAnswer
    prompt_tokens: int


@dataclass(frozen=True)
class LabelScoring:
    """Asks the models of one server."""

    models: ModelServer

    async def answer(self, model: str, contract: LabelContract, text: str) -> ScoredLabel:
        """The model's answer to a text, in one prefill.

        Raises what ModelServer.score raises; ModelServerRefused also where the server gave no label's token.
        """
        prompt = f"{contract.before}{text}{contract.after}"
        scored = await self.models.score(model, prompt, list(contract.token_of.values()))
        try:
            return ScoredLabel(label_answer(scored.logprobs, contract.token_of), scored.prompt_tokens)
        except ValueError as error:
            raise ModelServerRefused(str(error)) from error
