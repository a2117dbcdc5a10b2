from __future__ import annotations

import math

import pytest
import torch

from deploy.laptop.model_server.batching import Sampling
from deploy.laptop.model_server.sampling import next_token

LOGITS = torch.tensor([1.0, 3.0, 2.0, -1.0])


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(sampling: Sampling, draws: int = 200) -> set[int]:
    numbers = generator()
    return {next_token(LOGITS, sampling, numbers).id for _ in range(draws)}


def test_temperature_zero_takes_the_likeliest() -> None:
    assert drawn(Sampling(temperature=0)) == {1}


def test_temperature_one_draws_others_too() -> None:
    assert drawn(Sampling(temperature=1)) > {1, 2}


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    probabilities = LOGITS.softmax(-1)  # .64 for 1, .24 for 2
    assert drawn(Sampling(top_p=float(probabilities[1]) + 0.01)) == {1, 2}
    assert drawn(Sampling(top_p=1e-9)) == {1}


def test_log_probabilities_are_those_of_the_distribution_drawn_from() -> None:
    token = next_token(LOGITS, Sampling(top_p=0.7, logprobs=4), generator())
    told = dict(token.top or ())
    assert math.exp(told[1]) + math.exp(told[2]) == pytest.approx(1)
    assert told[0] == told[3] == -math.inf


def test_tokens_are_told_by_their_ids_when_only_some_are_allowed() -> None:
    token = next_token(LOGITS, Sampling(temperature=0, allowed=(70, 71, 72, 73), logprobs=2), generator())
    assert token.id == 71
    assert [id for id, _ in token.top or ()] == [71, 72]


def test_no_log_probabilities_are_told_unless_asked_for() -> None:
    assert next_token(LOGITS, Sampling(), generator()).top is None
    assert next_token(LOGITS, Sampling(logprobs=0), generator()).top == ()
