"""The verdict on a candidate: a pure function of its scorecard and of its shadow pairs.

Pairs count in the order of their requests and not in the order of their reviews: users complain about what
the champion got wrong, so what is reviewed first favours the candidate. A pair that waits for its review
counts against whoever would win. So the verdict holds whatever the reviewers see first, and leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import exp

from services.shadow_deployment import gates
from services.shadow_deployment.e_process import Peak, peak
from services.shadow_deployment.pair import Pair
from shared.events import Difference, Evidence, Guardrail, Rate, Scorecard, Verdict
from shared.workload import Promotion, Workload

ONE_IS_ENOUGH = ", one reviewer being enough for each"
METHOD = "mixture e-process over discordant pairs in the order of requests, unreviewed ones counted against"


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    reason: str
    evidence: Evidence
    guardrails: list[Guardrail]


def judge(
    scorecard: Scorecard,
    champion: str | None,
    pairs: Sequence[Pair],
    promotion: Promotion,
    elapsed: timedelta,
) -> Judgement | None:
    """The verdict, or None while the shadow goes on. `pairs` stand in the order of their requests.

    `elapsed` is the time since the candidate was evaluated. With a champion, PROMOTE has a chance of at most
    `promotion.alpha` if the candidate is no better; so has REJECT by the shadow if it is no worse. Requests
    whose right answer the champion does not know count, for it answers them wrongly; but a candidate that
    loses among the labels both know is not promoted for them.
    """
    if champion is None:
        return judge_alone(scorecard, promotion, "No adapter answers this workload yet.")
    guardrails = gates.against_champion(scorecard, promotion)
    evidence, for_candidate, for_champion = _weigh(pairs, promotion)
    if broken := next((guardrail for guardrail in guardrails if not guardrail.passed), None):
        return Judgement(Verdict.REJECT, _why_broken(broken, scorecard), evidence, guardrails)
    on_shared = gates.on_shared_labels(pairs, scorecard.champion_lacks)
    guardrails += on_shared
    if _comes_first(for_candidate, for_champion) and all(guardrail.passed for guardrail in on_shared):
        return Judgement(Verdict.PROMOTE, f"{_tally(evidence)}.", evidence, guardrails)
    if _comes_first(for_champion, for_candidate):
        e_value = _e_value(for_champion)
        reason = f"{_tally(evidence)}. The champion is better: e-value {e_value:.3g} for it."
        return Judgement(Verdict.REJECT, reason, evidence, guardrails)
    if used_up := _used_up(pairs, evidence, promotion, elapsed):
        return Judgement(Verdict.HOLD, used_up + _what_it_loses(on_shared), evidence, guardrails)
    return None


def under_present_names(pairs: Sequence[Pair], workload: Workload) -> list[Pair]:
    """The pairs with each label's name of now; those whose right answer is a removed label say nothing."""
    present_name = workload.present_name
    return [
        replace(
            pair,
            champion_answer=present_name(pair.champion_answer),
            candidate_answer=present_name(pair.candidate_answer),
            right_answer=pair.right_answer and present_name(pair.right_answer),
        )
        for pair in pairs
        if pair.right_answer not in workload.removed
    ]


def agreed_by(pairs: Sequence[Pair], reviewers: int) -> list[Pair]:
    """The pairs; those whose right answer fewer reviewers agreed on still wait for others."""
    return [pair if pair.reviewers >= reviewers else replace(pair, right_answer=None) for pair in pairs]


def settle(verdict: Verdict, reason: str, pairs: Sequence[Pair], promotion: Promotion) -> Judgement:
    """A verdict for a reason outside the pairs, with what they showed so far."""
    evidence, _, _ = _weigh(pairs, promotion)
    return Judgement(verdict, reason, evidence, [])


def judge_alone(scorecard: Scorecard, promotion: Promotion, why: str) -> Judgement:
    """The verdict on a candidate that there is no champion to compare with; `why` says so."""
    guardrails = gates.without_champion(scorecard)
    right = f"On held-out rows the candidate is right on {_rate(scorecard.held_out)}"
    constant = f"the commonest label alone would be right on {scorecard.majority_share:.0%}"
    evidence = Evidence(alpha=promotion.alpha, e_value_needed=1 / promotion.alpha, method="scorecard alone")
    if guardrails[0].passed:
        reason = f"{why} {right}; {constant}."
        return Judgement(Verdict.PROMOTE, reason, evidence, guardrails)
    reason = (
        f"{why} {right}; {constant}, so it has not surely learnt anything. Check the rows' labels, add more "
        "rows, and add the workload again."
    )
    return Judgement(Verdict.HOLD, reason, evidence, guardrails)


def _weigh(pairs: Sequence[Pair], promotion: Promotion) -> tuple[Evidence, Peak, Peak]:
    differing = [pair for pair in pairs if pair.differs]
    reviewed = [pair for pair in differing if not pair.waits]
    candidate_right = sum(pair.candidate_answer == pair.right_answer for pair in reviewed)
    champion_right = sum(pair.champion_answer == pair.right_answer for pair in reviewed)
    needed = 1 / promotion.alpha
    for_candidate = peak([_candidate_won(pair, if_it_waits=False) for pair in differing], needed)
    for_champion = peak(
        [None if (won := _candidate_won(pair, if_it_waits=True)) is None else not won for pair in differing],
        needed,
    )
    evidence = Evidence(
        pairs=len(pairs),
        differing=len(differing),
        reviewed=len(reviewed),
        candidate_right=candidate_right,
        champion_right=champion_right,
        neither_right=len(reviewed) - candidate_right - champion_right,
        e_value=_e_value(for_candidate),
        e_value_needed=needed,
        alpha=promotion.alpha,
        method=METHOD,
        fewest_reviewers=min((pair.reviewers for pair in reviewed), default=None),
    )
    return evidence, for_candidate, for_champion


def _candidate_won(pair: Pair, *, if_it_waits: bool) -> bool | None:
    if pair.right_answer is None:
        return if_it_waits
    if pair.right_answer == pair.candidate_answer:
        return True
    return False if pair.right_answer == pair.champion_answer else None


def _comes_first(one: Peak, other: Peak) -> bool:
    return one.reached_at is not None and (other.reached_at is None or one.reached_at < other.reached_at)


def _e_value(highest: Peak) -> float:
    """Six digits: the last ones may differ between machines, and a replayed verdict must not."""
    return float(f"{exp(min(highest.log_e, 700.0)):.6g}")


def _used_up(
    pairs: Sequence[Pair], evidence: Evidence, promotion: Promotion, elapsed: timedelta
) -> str | None:
    waiting = evidence.differing - evidence.reviewed
    if elapsed >= timedelta(hours=promotion.max_hours):
        used, bound = f"{promotion.max_hours:g} hours in the shadow brought no decision", "a longer max_hours"
    elif len(pairs) >= promotion.max_pairs and not (waiting and _can_still_decide(pairs, promotion)):
        used, bound = f"{len(pairs)} shadow pairs brought no decision", "a larger max_pairs"
    else:
        return None
    if waiting:
        advice = f"{waiting} pairs that differ were not reviewed: more reviewers, or {bound}, help."
    else:
        advice = "The champion stays; the next cycle trains a new candidate."
    return f"{used}. {_tally(evidence)}. {advice}"


def _what_it_loses(on_shared: Sequence[Guardrail]) -> str:
    """Why evidence that is enough did not promote, where that is so."""
    lost = [-guardrail.value for guardrail in on_shared if not guardrail.passed]
    if not lost:
        return ""
    return (
        f" Among the labels that both know the candidate loses by {lost[0]:.0f} reviewed requests, and what "
        "it wins by new labels does not promote it for that."
    )


def _can_still_decide(pairs: Sequence[Pair], promotion: Promotion) -> bool:
    """Whether reviews of the pairs that wait, all for one side, would bring a verdict."""
    differing = [pair for pair in pairs if pair.differs]
    at_best = [_candidate_won(pair, if_it_waits=True) for pair in differing]
    at_worst = [_candidate_won(pair, if_it_waits=False) for pair in differing]
    lost = [None if won is None else not won for won in at_worst]
    needed = 1 / promotion.alpha
    return any(peak(outcomes, needed).reached_at is not None for outcomes in (at_best, lost))


def _tally(evidence: Evidence) -> str:
    return (
        f"Of {evidence.pairs} requests that both answered, {evidence.differing} answers differ and "
        f"{evidence.reviewed} of these were reviewed{_by_how_many(evidence)}: only the candidate was "
        f"right on {evidence.candidate_right}, only the champion on {evidence.champion_right}, neither on "
        f"{evidence.neither_right} (e-value {evidence.e_value:.3g}, {evidence.e_value_needed:g} needed)"
    )


def _by_how_many(evidence: Evidence) -> str:
    if evidence.fewest_reviewers is None:
        return ""
    return (
        f", each by {evidence.fewest_reviewers} or more" if evidence.fewest_reviewers > 1 else ONE_IS_ENOUGH
    )


def _why_broken(broken: Guardrail, scorecard: Scorecard) -> str:
    if broken.name == gates.KEEPS_GOLDEN and scorecard.golden_difference is not None:
        change = _change("golden", scorecard.golden_difference)
        return f"{change}: a drop of {-100 * broken.bound:g} points or more is a regression."
    assert scorecard.held_out_difference is not None
    return f"{_change('held-out', scorecard.held_out_difference)}: it is worse beyond chance."


def _change(rows: str, difference: Difference) -> str:
    points, low, high = (100 * value for value in (difference.delta, difference.low, difference.high))
    return (
        f"On {difference.n} {rows} rows the candidate differs from the champion by {points:+.1f} points "
        f"(95 % interval {low:+.1f} to {high:+.1f})"
    )


def _rate(rate: Rate) -> str:
    return f"{rate.hits} of {rate.n} ({rate.value:.0%}, 95 % interval {rate.low:.0%} to {rate.high:.0%})"
