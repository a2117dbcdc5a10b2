"""The gates that a scorecard must pass, as guardrails: the value, its bound, and whether it was kept."""

from __future__ import annotations

from shared.events import Guardrail, Scorecard
from shared.workload import Promotion

BEATS_CONSTANT = "held-out accuracy, lower bound, against a constant answer"
KEEPS_GOLDEN = "golden rows, change against the champion"
KEEPS_HELD_OUT = "held-out rows, upper bound of the change against the champion"


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
