"""How many requests a verdict costs, and how often it errs: the e-process beside two tests in common use.

    python -m tests.bench.verdict

Prints tables; a few seconds. Every figure comes from simulated pairs and the code that judges.
"""

from __future__ import annotations

from functools import cache
from math import log, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from services.shadow_deployment.e_process import log_e_value, peak

ALPHA = 0.05
RUNS = 800
CELLS = ((0.01, 0.03), (0.01, 0.05), (0.02, 0.05), (0.02, 0.12), (0.03, 0.08), (0.10, 0.16))


def mcnemar_requests(gain: float, discordance: float, power: float) -> float:
    """Requests of which McNemar's test, looked at once, one-sided, finds this gain (Connor 1987)."""
    z = NormalDist().inv_cdf
    spread = z(1 - ALPHA) * sqrt(discordance) + z(power) * sqrt(discordance - gain * gain)
    return spread**2 / gain**2


@cache
def wins_needed(discordant: int) -> int:
    """Wins among so many discordant pairs at which the e-value is high enough."""
    low, high = discordant // 2, discordant + 1
    while low < high:
        middle = (low + high) // 2
        if log_e_value(middle, discordant - middle) >= log(1 / ALPHA):
            high = middle
        else:
            low = middle + 1
    return low


def cumulated_wins(gain: float, discordance: float, discordant: int, seed: int) -> npt.NDArray[np.int64]:
    """[RUNS, discordant]: wins among the first discordant pairs of each run."""
    win_rate = 0.5 + gain / (2 * discordance)
    drawn = np.random.default_rng(seed).random((RUNS, discordant)) < win_rate
    return np.cumsum(drawn, axis=1, dtype=np.int64)


def promoted_at(wins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """[RUNS]: the discordant pair at which the e-process promotes; infinite where it never does."""
    needed = np.array([wins_needed(n) for n in range(1, wins.shape[1] + 1)])
    reached = wins >= needed
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def requests_table() -> list[str]:
    rows = [
        "| gain | discordant | McNemar once, 80 % | e-process: 50 % | 80 % | 90 % | ratio at 80 % | labels |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed, (gain, discordance) in enumerate(CELLS):
        once = mcnemar_requests(gain, discordance, 0.8)
        discordant = int(9 * once * discordance) + 60
        at = promoted_at(cumulated_wins(gain, discordance, discordant, seed)) / discordance
        half, most, nearly_all = (float(np.quantile(at, share)) for share in (0.5, 0.8, 0.9))
        rows.append(
            f"| {gain * 100:.0f} points | {discordance:.0%} | {once:,.0f} | {half:,.0f} | {most:,.0f} | "
            f"{nearly_all:,.0f} | {most / once:.2f} | {most * discordance:,.0f} |"
        )
    return rows


def errors_table() -> list[str]:
    """40,000 requests at 5 % discordance; the z-test is looked at every tenth discordant pair, from 20 on."""
    discordance, discordant = 0.05, 2000
    rows = ["| true gain | e-process promotes | z-test, peeking, promotes | ratio |", "|---|---|---|---|"]
    for seed, gain in enumerate((0.0, -0.005), start=100):
        wins = cumulated_wins(gain, discordance, discordant, seed)
        n = np.arange(1, discordant + 1)
        z = ((2 * wins - n) / np.sqrt(n))[:, 19::10]
        ours = float(np.isfinite(promoted_at(wins)).mean())
        peeking = float((z > NormalDist().inv_cdf(1 - ALPHA)).any(axis=1).mean())
        ratio = f"{peeking / ours:.0f}" if ours else "-"
        rows.append(f"| {gain * 100:+.1f} points | {ours:.1%} | {peeking:.1%} | {ratio} |")
    return rows


def order_table() -> list[str]:
    """No gain; half of the champion's lone errors are complained about and reviewed before all else."""
    random = np.random.default_rng(200)
    won = random.random((RUNS, 60)) < 0.5
    complained = won & (random.random(won.shape) < 0.5)
    reviewed_first = np.take_along_axis(won, np.argsort(~complained, axis=1, kind="stable"), axis=1)
    orders = {"requests (ours)": won, "reviews": reviewed_first}
    rows = ["| 60 discordant pairs in the order of | promotes a candidate that is no better |", "|---|---|"]
    for name, outcomes in orders.items():
        share = float(np.isfinite(promoted_at(np.cumsum(outcomes, axis=1, dtype=np.int64))).mean())
        rows.append(f"| {name} | {share:.1%} |")
    return rows


def queue_table() -> list[str]:
    """Win rate 0.8, 15 % of pairs neither right; reviewers take any waiting pair, evenly at random."""
    rows = ["| pairs that wait for review at once | reviews until promotion, median |", "|---|---|"]
    for waiting in (1, 12, 75):
        random = np.random.default_rng(300)
        reviews = [_reviews_until_promotion(waiting, random) for _ in range(60)]
        rows.append(f"| {waiting} | {np.median(reviews):.0f} |")
    return rows


def _reviews_until_promotion(most_waiting: int, random: np.random.Generator) -> int:
    outcomes: list[bool | None] = []
    waiting: list[int] = []
    for reviews in range(1, 2000):
        while len(waiting) < most_waiting:
            waiting.append(len(outcomes))
            outcomes.append(False)  # until it is reviewed it counts against the candidate
        place = waiting.pop(int(random.integers(len(waiting))))
        outcomes[place] = None if random.random() < 0.15 else bool(random.random() < 0.8)
        if peak(outcomes, 1 / ALPHA).reached_at is not None:
            return reviews
    return 2000


def main() -> None:
    clickhouse = {
        f"Requests until promotion (alpha {ALPHA:.0%}, {RUNS} runs per row)": requests_table(),
        "False promotions in 40,000 requests": errors_table(),
        "Why pairs count in the order of their requests": order_table(),
        "Why few pairs wait for review at once": queue_table(),
    }
    for title, rows in clickhouse.items():
        print(f"{title}\n\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
