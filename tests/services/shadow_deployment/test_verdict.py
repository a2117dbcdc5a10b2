"""Verdicts: what decides, in which order, and what the sentence says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shadow_deployment.pair import Pair
from services.shadow_deployment.verdict import Judgement, agreed_by, judge, under_present_names
from shared.events import Scorecard, Verdict
from shared.intervals import paired_difference, wilson
from shared.workload import Promotion, Workload
from tests.services.shadow_deployment.example_events import pair, scorecard

SOON = timedelta(minutes=5)


def judged(
    pairs: Sequence[Pair] = (),
    *,
    card: Scorecard | None = None,
    champion: str | None = "first",
    promotion: Promotion | None = None,
    elapsed: timedelta = SOON,
) -> Judgement:
    judgement = judge(card or scorecard(), champion, pairs, promotion or Promotion(), elapsed)
    assert judgement is not None
    return judgement


def goes_on(pairs: Sequence[Pair], promotion: Promotion | None = None) -> bool:
    return judge(scorecard(), "first", pairs, promotion or Promotion(), SOON) is None


def pairs_of(*winners: str) -> list[Pair]:
    return [pair(winner) for winner in winners]


def test_a_first_candidate_that_surely_beats_a_constant_answer_is_promoted_on_its_scorecard() -> None:
    judgement = judged(champion=None)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.reason == (
        "No adapter answers this workload yet. On held-out rows the candidate is right on 240 of 300 (80%, "
        "95 % interval 75% to 84%); the commonest label alone would be right on 30%."
    )


def test_a_first_candidate_not_surely_above_a_constant_answer_is_held_and_told_what_to_do() -> None:
    judgement = judged(champion=None, card=scorecard(held_out=wilson(40, 120), majority_share=0.3))
    assert judgement.verdict is Verdict.HOLD
    assert "add more rows" in judgement.reason
    assert [guardrail.passed for guardrail in judgement.guardrails] == [False]


def test_a_label_that_only_the_candidate_knows_promotes_it_unless_it_loses_among_the_others() -> None:
    card = scorecard().model_copy(update={"champion_lacks": ["BSD"]})
    new_label = pairs_of(*["candidate"] * 30)
    judgement = judged(new_label, card=card)
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.guardrails[-1].name.startswith("reviewed pairs of the labels that both know")
    losing = [*new_label, *pairs_of("champion")]
    assert judge(card, "first", losing, Promotion(), SOON) is None
    held = judged(losing, card=card, elapsed=timedelta(days=30))
    assert (held.verdict, held.guardrails[-1].passed) == (Verdict.HOLD, False)
    assert "Among the labels that both know the candidate loses by 1 reviewed requests" in held.reason
    assert judged(losing).verdict is Verdict.PROMOTE, "the champion knows both"


def test_a_golden_regression_rejects_even_against_winning_pairs() -> None:
    card = scorecard(golden=paired_difference(2, 13, 150), golden_regressed=True)
    judgement = judged(pairs_of(*["candidate"] * 60), card=card)
    assert judgement.verdict is Verdict.REJECT
    assert judgement.reason.startswith(
        "On 150 golden rows the candidate differs from the champion by -7.3 points (95 % interval -13."
    )
    golden = judgement.guardrails[0]
    assert golden.value == pytest.approx(-11 / 150)
    assert (golden.bound, golden.passed) == (-0.05, False)


def test_held_out_rows_reject_only_beyond_chance() -> None:
    worse = judged(card=scorecard(difference=paired_difference(10, 40, 300)))
    assert worse.verdict is Verdict.REJECT
    assert "held-out rows" in worse.reason
    assert judge(scorecard(difference=paired_difference(10, 15, 300)), "first", [], Promotion(), SOON) is None


def test_enough_wins_promote_and_the_sentence_carries_the_counts() -> None:
    judgement = judged(pairs_of("both", *["candidate"] * 12, "neither"))
    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.reason.startswith(
        "Of 14 requests that both answered, 13 answers differ and 13 of these were reviewed, one reviewer "
        "being enough for each: only the candidate was right on 12, only the champion on 0, neither on 1 "
        "(e-value "
    )
    assert judgement.evidence.e_value >= judgement.evidence.e_value_needed == 20
    assert [guardrail.passed for guardrail in judgement.guardrails] == [True, True]


def test_a_stricter_alpha_needs_more_wins() -> None:
    wins = pairs_of(*["candidate"] * 8)
    assert judged(wins).verdict is Verdict.PROMOTE
    assert goes_on(wins, Promotion(alpha=0.001))


def test_enough_losses_reject() -> None:
    judgement = judged(pairs_of(*["champion"] * 12))
    assert judgement.verdict is Verdict.REJECT
    assert "The champion is better" in judgement.reason


def test_what_was_decided_first_decides_although_the_tide_turned_later() -> None:
    assert judged(pairs_of(*["candidate"] * 12, *["champion"] * 60)).verdict is Verdict.PROMOTE
    assert judged(pairs_of(*["champion"] * 12, *["candidate"] * 60)).verdict is Verdict.REJECT


def test_pairs_that_neither_got_right_are_counted_and_move_nothing() -> None:
    assert goes_on(pairs_of(*["neither"] * 500, *["both"] * 500))


def test_pairs_used_up_hold() -> None:
    few = Promotion(max_pairs=4)
    judgement = judged(pairs_of("both", "both", "candidate", "champion"), promotion=few)
    assert judgement.verdict is Verdict.HOLD
    assert judgement.reason.startswith("4 shadow pairs brought no decision.")


def test_pairs_used_up_hold_when_those_that_wait_could_decide_nothing() -> None:
    pairs = pairs_of("candidate", "champion", "candidate", "waits")
    assert judged(pairs, promotion=Promotion(max_pairs=4)).verdict is Verdict.HOLD


def test_pairs_used_up_wait_for_a_review_that_could_decide() -> None:
    nearly = pairs_of(*["candidate"] * 7, "waits")
    assert goes_on(nearly, Promotion(max_pairs=8))


def test_hours_used_up_hold_and_name_the_missing_reviews() -> None:
    judgement = judged(pairs_of("candidate", "waits"), elapsed=timedelta(hours=168))
    assert judgement.verdict is Verdict.HOLD
    assert "168 hours in the shadow brought no decision" in judgement.reason
    assert "1 pairs that differ were not reviewed" in judgement.reason


def test_a_verdict_says_by_how_many_each_pair_was_reviewed() -> None:
    alone = pairs_of(*["candidate"] * 30)
    twice = [replace(one, reviewers=2) for one in alone]
    assert "30 of these were reviewed, one reviewer being enough for each" in judged(alone).reason
    assert "30 of these were reviewed, each by 2 or more" in judged(twice).reason
    assert judged([*alone[:1], *twice]).evidence.fewest_reviewers == 1


def test_what_too_few_agreed_on_waits() -> None:
    alone = pairs_of(*["candidate"] * 30)
    assert goes_on(agreed_by(alone, 2))
    assert not goes_on(agreed_by([replace(one, reviewers=2) for one in alone], 2))
    assert agreed_by(alone, 1) == alone


def test_a_pair_that_waits_counts_against_whoever_would_win() -> None:
    assert goes_on(pairs_of(*["waits"] * 6, *["candidate"] * 8))
    assert goes_on(pairs_of(*["waits"] * 6, *["champion"] * 8))
    assert judged(pairs_of(*["candidate"] * 8, *["waits"] * 600)).verdict is Verdict.PROMOTE


@given(st.lists(st.sampled_from(["candidate", "champion", "neither", "both"]), max_size=40), st.data())
def test_in_whatever_order_reviews_arrive_the_first_verdict_is_the_one_of_all(
    winners: list[str], data: st.DataObject
) -> None:
    full = pairs_of(*winners)
    known = [Pair(one.champion_answer, one.candidate_answer, None) for one in full]
    first = judge(scorecard(), "first", known, Promotion(), SOON)
    for place in data.draw(st.permutations(range(len(full)))):
        known[place] = full[place]
        first = first or judge(scorecard(), "first", known, Promotion(), SOON)
    in_the_end = judge(scorecard(), "first", full, Promotion(), SOON)
    assert (first and first.verdict) == (in_the_end and in_the_end.verdict)


@given(
    st.lists(st.sampled_from(["candidate", "champion", "neither"]), min_size=1, max_size=60),
    st.data(),
)
def test_reviews_still_missing_can_delay_a_verdict_and_never_turn_it(
    winners: list[str], data: st.DataObject
) -> None:
    full = pairs_of(*winners)
    missing = data.draw(st.sets(st.integers(0, len(full) - 1)))
    partly = [
        Pair(one.champion_answer, one.candidate_answer, None) if place in missing else one
        for place, one in enumerate(full)
    ]
    early, late = (judge(scorecard(), "first", pairs, Promotion(), SOON) for pairs in (partly, full))
    if early is not None:
        assert late is not None
        assert late.verdict is early.verdict


def test_complaints_reviewed_first_do_not_promote_an_equal_candidate() -> None:
    """An A/A candidate, looked at after every single review.

    Users complain about the champion's errors only, so those pairs are reviewed before all others. Judged in
    the order of reviews, as shown beside, that bias alone promotes.
    """
    random = np.random.default_rng(3)
    ours = in_order_of_review = 0
    runs = 60
    for _ in range(runs):
        winners = random.choice(["candidate", "champion"], size=60)
        complained = [winner == "candidate" and random.random() < 0.5 for winner in winners]
        order = sorted(range(60), key=lambda place: (not complained[place], place))
        known = [pair("waits")] * 60
        for place in order:
            known[place] = pair(winners[place])
            judgement = judge(scorecard(), "first", known, Promotion(), SOON)
            if judgement is not None:
                ours += judgement.verdict is Verdict.PROMOTE
                break
        naive = judge(scorecard(), "first", [pair(winners[place]) for place in order], Promotion(), SOON)
        in_order_of_review += naive is not None and naive.verdict is Verdict.PROMOTE
    assert ours / runs <= 0.05
    assert in_order_of_review / runs > 0.5


def test_pairs_count_under_the_names_that_labels_have_now() -> None:
    workload = Workload(
        name="t",
        title="t",
        prompt="{text}\nX:",
        labels=("new", "x"),
        renamed={"old": "new"},
        removed=("gone",),
    )
    pairs = [
        Pair("old", "new", "old"),
        Pair("old", "x", None),
        Pair("gone", "x", "gone"),
        Pair("gone", "x", "x"),
    ]
    assert under_present_names(pairs, workload) == [
        Pair("new", "new", "new"),
        Pair("new", "x", None),
        Pair("gone", "x", "x"),
    ]
