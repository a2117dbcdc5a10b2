from __future__ import annotations

import torch

from services.retraining.lora_extraction import low_rank


def test_as_many_terms_as_the_rank_are_the_difference() -> None:
    torch.manual_seed(0)
    difference = torch.randn(40, 5) @ torch.randn(5, 30)
    terms = low_rank(difference, 5)
    assert (terms.a.shape, terms.b.shape) == ((5, 30), (40, 5))
    assert torch.allclose(terms.b @ terms.a, difference, atol=1e-4)


def test_fewer_terms_of_it_are_those_that_count_most() -> None:
    torch.manual_seed(0)
    difference = torch.randn(50, 40)
    all_terms = low_rank(difference, 40)
    errors = [
        float((difference - all_terms.of_rank(r).b @ all_terms.of_rank(r).a).norm()) for r in (1, 8, 39, 40)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3
    u, s, vh = torch.linalg.svd(difference)
    best = (u[:, :8] * s[:8]) @ vh[:8]
    assert abs(errors[1] - float((difference - best).norm())) < 1e-3


def test_large_layers_are_decomposed_at_random_and_nearly_as_well() -> None:
    torch.manual_seed(0)
    difference = torch.randn(600, 20) @ torch.randn(20, 500) + 0.01 * torch.randn(600, 500)
    before = torch.random.get_rng_state()
    terms = low_rank(difference, 20)
    assert torch.equal(before, torch.random.get_rng_state())
    u, s, vh = torch.linalg.svd(difference, full_matrices=False)
    best = float((difference - (u[:, :20] * s[:20]) @ vh[:20]).norm())
    assert float((difference - terms.b @ terms.a).norm()) < 1.01 * best


def test_where_the_inputs_lie_counts_more_than_where_they_do_not() -> None:
    """A few directions of the inputs are used: there the weighted terms answer better, for the same rank."""
    torch.manual_seed(0)
    difference = torch.randn(60, 50)
    x = torch.randn(500, 6) @ torch.randn(6, 50) + 0.01 * torch.randn(500, 50)
    plain = low_rank(difference, 6)
    weighted = low_rank(difference, 6, x.T @ x / len(x))

    def error(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((x @ (difference - b @ a).T).norm() / (x @ difference.T).norm())

    assert error(weighted.a, weighted.b) < 0.05 < 0.5 < error(plain.a, plain.b)
