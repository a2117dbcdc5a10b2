"""From logits to the next token, with the log-probabilities of the distribution it was drawn from."""

from __future__ import annotations

import torch
from torch import Tensor

from deploy.laptop.model_server.batching import Sampling, Token


def next_token(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Token:
    """Draws a token, or takes the likeliest at temperature 0.

    `logits`: fp32, [vocabulary], or [allowed] if the request allows only some tokens. Log-probabilities are
    those after masking, temperature and top_p: what vLLM calls processed_logprobs.
    """
    logprobs = _distribution(logits, sampling).log_softmax(-1)
    if sampling.temperature == 0:
        chosen = int(logprobs.argmax())
    else:
        chosen = int(torch.multinomial(logprobs.exp(), 1, generator=generator))
    ids = sampling.allowed
    return Token(
        ids[chosen] if ids else chosen,
        float(logprobs[chosen]),
        None if sampling.logprobs is None else _likeliest(logprobs, sampling.logprobs, ids),
    )


def _likeliest(logprobs: Tensor, most: int, ids: tuple[int, ...] | None) -> tuple[tuple[int, float], ...]:
    values, places = logprobs.topk(min(most, len(logprobs)))
    return tuple(
        (ids[place] if ids else place, value)
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    )


def _distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    if sampling.temperature == 0:
        return logits
    logits = logits / sampling.temperature
    if sampling.top_p < 1:
        ordered, places = logits.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        # The likeliest always stays: nothing stands before it.
        logits = logits.index_fill(0, places[before >= sampling.top_p], float("-inf"))
    return logits
