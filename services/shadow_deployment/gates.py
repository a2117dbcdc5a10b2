"""The gates that a scorecard must pass, as guardrails: the value, its bound, and whether it was kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.shadow_deployment.pair import Pair
from shared.events import Guardrail, Scorecard
from shared.workload import Promotion

BEATS_CONSTANT = "held-out accuracy, lower bound, against a constant answer"
KEEPS_GOLDEN = "golden rows, change against the champion"
KEEPS_HELD_OUT = "held-out rows, upper bound of the change against the champion"
KEEPS_SHARED = "reviewed pairs of the labels that both know, only the candidate right minus only the champion"


def without_champion(scorecard: Scorecard) -> list[Guardrail]:
    """A first champion must surely beat the constant answer: there is nobody else to be compared with."""
    low, bound = scorecard.held_out.low, scorecard.majority_share
    return [Guardrail(name=BEATS_CONSTANT, value=low, bound=bound, passed=low > bound)]


def against_champion(scorecard: Scorecard, promotion: Promotion) -> list[Guardrail]:
    """What works must go on working: golden rows by a point rule, held-out rows by the interval."""
    guardrails = []
    if (golden := scorecard.golden_difference) is not None:
        passed = not scorecard.golden_regressed
        bound = -promotion.golden_drop
        guardrails.append(Guardrail(name=KEEPS_GOLDEN, value=golden.delta, bound=bound, passed=passed))
    if (held_out := scorecard.held_out_difference) is not None:
        high = held_out.high
        guardrails.append(Guardrail(name=KEEPS_HELD_OUT, value=high, bound=0.0, passed=high >= 0))
    return guardrails


def on_shared_labels(pairs: Sequence[Pair], champion_lacks: Collection[str]) -> list[Guardrail]:
    """What a candidate wins by labels that the champion does not know must not hide what it loses elsewhere.

    Nothing where the champion knows all of them: the pairs then speak for themselves.
    """
    if not champion_lacks:
        return []
    reviewed = [
        pair for pair in pairs if pair.differs and not pair.waits and pair.right_answer not in champion_lacks
    ]
    candidate = sum(pair.candidate_answer == pair.right_answer for pair in reviewed)
    champion = sum(pair.champion_answer == pair.right_answer for pair in reviewed)
    return [Guardrail(name=KEEPS_SHARED, value=candidate - champion, bound=0.0, passed=candidate >= champion)]
