"""The door to what a model in this process says of answers' tokens: one prefill for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from services.retraining.training_rows import Example

AT_A_TIME = 16


def log_probabilities(
    model: Any, prompts: Sequence[Sequence[int]], tokens: Sequence[int], *, autocast: bool = False
) -> list[list[float]]:
    """Natural logarithms, over the whole vocabulary: of each of `tokens` after each of `prompts` (token ids).

    `autocast` computes in bfloat16 with weights that are float32, as training does.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found: dict[int, list[float]] = {}
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(by_length), AT_A_TIME):
        chosen = by_length[start : start + AT_A_TIME]
        lengths = torch.tensor([len(prompts[index]) for index in chosen])
        ids = torch.zeros(len(chosen), int(lengths.max()), dtype=torch.long)
        for row, index in enumerate(chosen):
            ids[row, : lengths[row]] = torch.tensor(prompts[index])
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            hidden = _decoder(model)(
                input_ids=ids.to(device), attention_mask=mask.long().to(device), use_cache=False
            ).last_hidden_state
            last = hidden[torch.arange(len(chosen)), lengths - 1]
            logits = model.get_output_embeddings()(last)
        scored = torch.log_softmax(logits.float(), dim=-1)[:, list(tokens)].cpu().tolist()
        found.update(zip(chosen, scored, strict=True))
    model.train(was_training)
    return [found[index] for index in range(len(prompts))]


def _decoder(model: Any) -> Any:
    """Of a model, or of one with adapters beside its layers."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.get_decoder()


def prompts_of(examples: Sequence[Example], tokenizer: Any) -> list[list[int]]:
    """Token ids as training reads them."""
    return [tokenizer(example.prompt)["input_ids"] for example in examples]


def answer_tokens(examples: Sequence[Example], tokenizer: Any) -> dict[str, int]:
    """Each answer that occurs, and its token."""
    answers = sorted({example.answer for example in examples})
    return {answer: tokenizer(answer, add_special_tokens=False)["input_ids"][0] for answer in answers}


def answer_loss(
    logprobs: Sequence[Sequence[float]], examples: Sequence[Example], answers: Sequence[str]
) -> float:
    """Mean loss of the right answers, in nats: what training lowers."""
    right = [row[answers.index(example.answer)] for row, example in zip(logprobs, examples, strict=True)]
    return -sum(right) / len(right)
