"""What passes for the live champion's answers although the champion never gave them."""

from __future__ import annotations

import hashlib
from itertools import count

from shared.events import PredictionReported, now
from tests.attacks.attack import attack
from tests.attacks.desk import CHAMPION, SEEN_SECONDS, WRONG, Desk, desk, first, numbered, within
from tests.attacks.target import Target

INVENTED = 24
"""So many were enough for a verdict."""
AUDITED_BELOW, TWICE_BELOW = 0.05, 0.2
"""The shares that a workload audits and has reviewed twice, unless it says otherwise."""
ORDINARY = 300
"""That none of so many is audited happens by chance once in five million times."""
CHOSEN = 40
"""So many ids have one and the same lot by chance once in seven thousand times."""


@attack
def an_app_logs_answers_under_the_champions_name(target: Target) -> str:
    """A candidate is asked what the champion was asked, and they are compared: so the asker decides."""
    with desk(target, "claimed-over-http") as one:
        one.log(*numbered("invented", INVENTED), confidence=0.9)
        return _taken_for_the_champions(one)


@attack
def an_app_reports_answers_under_the_champions_name_on_kafka(target: Target) -> str:
    """The same, by the topic that apps write to themselves."""
    with desk(target, "claimed-on-kafka") as one:
        ids = numbered("invented", INVENTED)
        one.publish(*(PredictionReported(predicted_at=now(), **one.prediction(name, 0.9)) for name in ids))
        one.awaited("predictions_v1", ids)
        return _taken_for_the_champions(one)


@attack
def an_app_lowers_the_champions_accuracy(target: Target) -> str:
    """What reviewers correct counts for or against whoever the record names."""
    with desk(target, "claimed-and-corrected") as one:
        one.queued("wrong")
        for reviewer in ("attacker", "another"):  # it may be drawn to be reviewed twice
            one.reviews("wrong", reviewer, WRONG)
        one.awaited("corrections_v1", ["wrong"])
        found = one.count("corrections_v1", f"adapter = '{CHAMPION}'")
    return "a wrong answer of an app's counts as the champion's" if found else ""


@attack
def a_client_chooses_ids_that_are_drawn_for_audit(target: Target) -> str:
    """The random sample from which accuracy is estimated holds what somebody wanted in it, or out of it."""
    with desk(target, "drawn-for-audit") as one:
        of_chosen = "NOT startsWith(prediction_id, 'ordinary')"
        chosen = first(map(str, count()), lambda name: _lot(f"audit\x1f{name}", 8) < AUDITED_BELOW, CHOSEN)
        one.log(*numbered("ordinary", ORDINARY), confidence=0.9)
        if not within(SEEN_SECONDS, lambda: one.count("flags_v1", "reason = 'audit'") > 0):
            return f"none of {ORDINARY} ordinary ids is audited either, so nothing is proved"
        one.log(*chosen, confidence=0.9)
        all_drawn = within(
            SEEN_SECONDS, lambda: one.count("flags_v1", f"reason = 'audit' AND {of_chosen}") == CHOSEN
        )
    return f"all of {CHOSEN} ids that were computed are audited" if all_drawn else ""


@attack
def a_client_chooses_ids_that_one_reviewer_judges_alone(target: Target) -> str:
    """A share is reviewed twice, to find reviewers who err; whoever wants to err avoids it."""
    with desk(target, "judged-once") as one:
        chosen = first(map(str, count()), lambda name: _lot(f"double\x1f{name}", 6) >= TWICE_BELOW, CHOSEN)
        one.queued(*chosen)
        twice = one.count("review_items_v1", "reviews_wanted > 1")
    return "" if twice else f"none of {CHOSEN} ids that were computed wants a second review"


def _taken_for_the_champions(one: Desk) -> str:
    found = one.count("arrivals_v1", f"adapter = '{CHAMPION}'")
    return f"{found} of {INVENTED} answers of nobody's are the champion's" if found else ""


def _lot(content: str, size: int) -> float:
    """As version 0.2 drew them, which anybody can compute: from 0 to 1."""
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:size], "big") / float(256**size)
