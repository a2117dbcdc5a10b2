"""Rows, batches and optimiser steps."""

from __future__ import annotations

import math


def steps_per_epoch(rows: int, batch_size: int, accumulated: int) -> int:
    """Optimiser steps that see every row once: the last batch and the last accumulation may be smaller."""
    return max(1, math.ceil(math.ceil(rows / batch_size) / accumulated))


def steps(epochs: float, per_epoch: int, most: int | None) -> int:
    """Optimiser steps of `epochs`, but at most `most`, and at least one."""
    wanted = math.ceil(epochs * per_epoch)
    return max(1, wanted if most is None else min(most, wanted))


def batches_of_each(accumulated: int, processes: int) -> int:
    """Batches of one process to a step: the processes share out those that are accumulated."""
    return math.ceil(accumulated / processes)


def largest_batch(batch_size: int, accumulated: int, processes: int) -> int:
    """Rows of one process's largest batch: batches are split where there are fewer than processes."""
    return math.ceil(batch_size * accumulated / (batches_of_each(accumulated, processes) * processes))


def rows_seen(steps_done: int, rows: int, batch_size: int, accumulated: int) -> int:
    """Rows that so many steps read, each counted as often as it was read."""
    per_epoch = steps_per_epoch(rows, batch_size, accumulated)
    whole, rest = divmod(steps_done, per_epoch)
    return whole * rows + min(rest * batch_size * accumulated, rows)
