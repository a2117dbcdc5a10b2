from __future__ import annotations

from collections import Counter

import pytest

from services.retraining.batch_order import batches
from shared.training.steps import batches_of_each, largest_batch

LENGTHS = [5 + number * 7 % 90 for number in range(203)]


@pytest.mark.parametrize(("batch_size", "accumulated"), [(16, 1), (4, 4), (3, 5)])
def test_an_epoch_holds_every_row_once(batch_size: int, accumulated: int) -> None:
    steps = -(-len(LENGTHS) // (batch_size * accumulated))
    order = batches(LENGTHS, batch_size * accumulated, accumulated, steps, seed=1)
    assert len(order) == steps * accumulated
    seen = Counter(row for batch in order for row in batch)
    assert set(seen) == set(range(len(LENGTHS)))
    assert sum(seen.values()) - len(LENGTHS) < accumulated  # a last step too small for its batches
    assert all(len(batch) <= batch_size for batch in order)


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_processes_share_out_the_rows_of_every_step(processes: int) -> None:
    alone = batches(LENGTHS, 16, 1, 26, seed=1)
    together = batches(LENGTHS, 16, processes, 26, seed=1)
    shares = [together[number::processes] for number in range(processes)]
    assert all(len(share) == 26 for share in shares)
    for step, rows in enumerate(alone):
        read = [row for share in shares for row in share[step]]
        assert set(read) == set(rows)


def test_fewer_rows_than_batches_are_read_again() -> None:
    assert [len(batch) for batch in batches([5, 6, 7], 16, 4, 2, seed=1)] == [1] * 8


def test_epochs_differ_and_the_same_training_reads_the_same() -> None:
    order = batches(LENGTHS, 16, 1, 26, seed=1)
    assert order == batches(LENGTHS, 16, 1, 26, seed=1)
    assert order[:13] != order[13:]
    assert order != batches(LENGTHS, 16, 1, 26, seed=2)


def test_rows_of_a_length_go_together() -> None:
    order = batches(LENGTHS, 16, 1, 13, seed=1)
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in order)
    assert padded < 1.1 * sum(LENGTHS)


def test_short_rows_do_not_all_come_first() -> None:
    means = [sum(LENGTHS[row] for row in batch) / len(batch) for batch in batches(LENGTHS, 16, 1, 13, 1)]
    assert means not in (sorted(means), sorted(means, reverse=True))


@pytest.mark.parametrize(
    ("batch_size", "accumulated", "processes", "rows"),
    [(16, 1, 1, 16), (16, 1, 4, 4), (16, 4, 4, 16), (16, 4, 3, 11), (3, 1, 2, 2), (1, 1, 4, 1)],
)
def test_the_largest_batch_of_a_process_is_known_before(
    batch_size: int, accumulated: int, processes: int, rows: int
) -> None:
    parts = batches_of_each(accumulated, processes) * processes
    made = batches([5] * 200, batch_size * accumulated, parts, 3, 1)
    assert max(len(batch) for batch in made) == rows == largest_batch(batch_size, accumulated, processes)
