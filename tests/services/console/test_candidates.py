"""The table of candidates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.console import page_queries
from services.console.candidates import candidate_rows, towards_bound, whisker
from services.console.cycle_status import Snapshot
from services.console.event_sentences import Tone
from services.console.feed import Progress
from services.console.templating import make_render
from shared.events import Scorecard
from shared.intervals import paired_difference
from tests.services.console.examples import NOW, definition, evidence, scorecard

RUN = page_queries.Run("r1", "d1", "c1", "x", "evaluated", 60, 0.6, 100.0, "", NOW)
CARD = page_queries.Evaluation("r1", "d1", "c1", "x", "y", scorecard(239, 204, (5, 6)), NOW)
PAIRS = page_queries.Pairs("r1", 61, 16, 8, 2, NOW)
VERDICT = page_queries.Judged("r1", "d1", "c1", "x", "y", "PROMOTE", "better", evidence(), [], NOW)
SHADOWED = Snapshot(definition(), champion="x", runs=[RUN], evaluations=[CARD], pairs=[PAIRS])


def shown(card: Scorecard) -> str:
    """A candidate's page."""
    row = candidate_rows(SHADOWED)[0]
    empty: dict[str, Any] = {"guardrails": [], "bars": [], "confusions": [], "links": [], "figures": None}
    return make_render(lambda: NOW)("candidate.html", workload="tickets", row=row, card=card, **empty)


def test_a_candidate_s_page_says_where_its_base_model_was_told_no_labels() -> None:
    sentence = "It was asked without a list of its labels"
    assert sentence not in shown(CARD.scorecard)
    assert sentence in shown(CARD.scorecard.model_copy(update={"base_model_untold": True}))


def test_a_candidate_s_page_says_which_labels_the_champion_lacks() -> None:
    assert "the champion was not trained on" not in shown(CARD.scorecard)
    lacking = CARD.scorecard.model_copy(update={"champion_lacks": ["address_change"]})
    assert "the champion was not trained on &#34;address_change&#34;" in shown(lacking)
    refused = CARD.scorecard.model_copy(update={"champion_refused": "adapter x is not signed."})
    assert "because the champion is refused: adapter x is not signed." in shown(refused)


def test_a_candidate_is_one_row_however_far_it_came() -> None:
    judged = replace(SHADOWED, verdicts=[VERDICT])
    assert [row.run_id for row in candidate_rows(judged)] == ["r1"]


def test_a_run_in_training_has_no_figures_yet() -> None:
    training = Snapshot(definition(), runs=[replace(RUN, candidate="", state="training")])
    row = candidate_rows(training)[0]
    assert (row.candidate, row.held_out.value, row.verdict) == ("in training", "–", "training")


def test_a_run_in_training_says_how_far_it_is_and_how_long_the_rest_takes() -> None:
    training = Snapshot(definition(), runs=[replace(RUN, candidate="", state="training")])
    busy = Progress("r1", "training", 12, 60, 0.9, 96.0, NOW)
    (row,) = candidate_rows(training, busy)
    assert row.sentence == "training 12 of 60, 2 min left"
    (other,) = candidate_rows(training, replace(busy, run_id="r9"))
    assert other.sentence == ""


def test_a_candidate_that_waits_for_the_model_server_says_since_when_and_why() -> None:
    (shadowed,) = candidate_rows(replace(SHADOWED, verdicts=[]))
    assert shadowed.sentence.startswith("Answers real requests")
    waits = {"r1": page_queries.Waits(NOW, "it serves another base model.")}
    (row,) = candidate_rows(replace(SHADOWED, verdicts=[], waits=waits))
    assert row.sentence == (f"Waits since {NOW:%Y-%m-%d %H:%M} UTC: it serves another base model.")


def test_a_failed_run_says_why() -> None:
    failed = Snapshot(definition(), runs=[replace(RUN, state="failed", reason="out of memory")])
    row = candidate_rows(failed)[0]
    assert (row.tone, row.sentence) == (Tone.ERROR, "out of memory")


def test_the_shadow_shows_pairs_before_there_is_an_e_value() -> None:
    row = candidate_rows(SHADOWED)[0]
    assert row.pairs == ("61 pairs, 16 differ", "right: candidate 8, champion 2")
    assert (row.evidence, row.towards_bound, row.verdict) == ("", None, "in shadow")


def test_a_verdict_shows_the_pairs_it_stands_on() -> None:
    row = candidate_rows(replace(SHADOWED, verdicts=[VERDICT]))[0]
    assert row.pairs == ("184 pairs, 47 differ", "right: candidate 36, champion 8")
    assert row.evidence == "e-value 310, needs 20"


def test_the_first_candidate_has_no_one_to_be_compared_with() -> None:
    first = replace(SHADOWED, evaluations=[replace(CARD, scorecard=scorecard(204, None))])
    row = candidate_rows(first)[0]
    assert (row.held_out_difference.value, row.held_out_difference.whisker) == ("–", None)


def test_a_golden_regression_is_marked() -> None:
    regressed = replace(SHADOWED, evaluations=[replace(CARD, scorecard=scorecard(239, 204, (2, 12)))])
    assert candidate_rows(regressed)[0].golden_regressed


def test_the_champion_is_marked_and_the_newest_comes_first() -> None:
    newer = replace(RUN, run_id="r2", candidate="z", changed_at=NOW + timedelta(days=1))
    rows = candidate_rows(replace(SHADOWED, runs=[RUN, newer]))
    assert [(row.candidate, row.is_champion) for row in rows] == [("z", False), ("x", True)]


def test_no_difference_stands_in_the_middle_of_the_picture() -> None:
    drawn = whisker(paired_difference(10, 10, 300), scale=0.1)
    assert drawn.middle == 50
    assert drawn.low < 50 < drawn.high


def test_a_picture_never_leaves_its_axis() -> None:
    drawn = whisker(paired_difference(90, 0, 100), scale=0.1)
    assert (drawn.middle, drawn.high) == (100, 100)


def test_evidence_starts_at_nothing_and_ends_at_its_bound() -> None:
    assert [towards_bound(value, 20) for value in (0.0, 1.0, 20.0, 310.0)] == [0, 0, 1, 1]
