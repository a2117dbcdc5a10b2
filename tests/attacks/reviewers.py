"""Who a review is by, when it was given, and how many it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import httpx

from shared.events import ShadowPairRecorded, now
from tests.attacks.asking import ANSWER_SECONDS, all_at_once
from tests.attacks.attack import attack
from tests.attacks.desk import CHAMPION, RIGHT, SEEN_SECONDS, WRONG, Desk, desk, numbered, within
from tests.attacks.keyed import keyed
from tests.attacks.target import Target

INVENTED, AT_ONCE = 1100, 8
EARLY = 3
LATEST, EARLIEST = "2199-12-31T23:59:59Z", "1970-01-01T00:00:00Z"


@attack
def a_review_from_the_future_holds_for_ever(target: Target) -> str:
    """It bears the name of somebody who never gave it, and whatever they say themselves comes before it."""
    with desk(target, "from-the-future") as one:
        one.queued("text")
        one.reviews("text", "anna", WRONG, given_at=LATEST)
        one.reviews("text", "anna", RIGHT)
        said = f"right_answer = '{RIGHT}'"
        is_hers = within(SEEN_SECONDS, lambda: one.count("reviews_v1", said) == 1)
    return "" if is_hers else "what anna said afterwards does not replace it"


@attack
def a_review_is_dated_back(target: Target) -> str:
    """How far reviewers agree goes by the first two: so the first is whoever says so."""
    with desk(target, "dated-back") as one:
        one.queued("text")
        one.reviews("text", "anna", WRONG, given_at=EARLIEST)
        one.awaited("reviews_v1", ["text"])
        is_back = one.count("reviews_v1", "given_at < now() - INTERVAL 1 DAY")
    return "the review is of 1970" if is_back else ""


@attack
def one_reviewer_decides_a_pair_alone(_: Target) -> str:
    """Where keys are on: one key that was stolen, or one person who errs, moves the verdict."""
    with pair("decided-alone") as (anna, ben):
        anna.reviews("pair", "", WRONG)
        return _decided_before(ben)


@attack
def one_reviewer_is_two(_: Target) -> str:
    """The same key under two names."""
    with pair("decided-as-two") as (anna, ben):
        for name in ("anna", "ben"):
            anna.reviews("pair", name, WRONG)
        return _decided_before(ben)


@attack
def reviews_of_nothing_keep_others_from_being_heard(_: Target) -> str:
    """A key that reviews predictions that nobody logged, more than are looked for at a time."""
    here = keyed()
    with desk(here.target, "reviews-of-nothing", here.host) as owners:
        early, invented = numbered("early", EARLY), numbered("invented", INVENTED)
        anna = replace(owners, headers=here.key_of("anna", "reviewer"))
        for name in early:
            anna.reviews(name, "", RIGHT)
        mallory = replace(owners, headers=here.key_of("mallory", "reviewer"))
        all_at_once(*(partial(_review_all, mallory, invented[part::AT_ONCE]) for part in range(AT_ONCE)))
        if not within(SEEN_SECONDS, lambda: owners.count("reviews_v1") == EARLY + INVENTED):
            raise RuntimeError("the invented reviews never came, so nothing is proved")
        owners.log(*early, confidence=0.9)
        # One that is drawn for audit wants another reviewer; that all are drawn, is one in ten thousand.
        is_heard = within(SEEN_SECONDS, lambda: owners.count("corrections_v1") > 0)
    return "" if is_heard else f"{INVENTED} invented ones are looked for, and of hers nothing comes"


def _review_all(one: Desk, names: Sequence[str]) -> None:
    with httpx.Client(headers=one.headers, timeout=ANSWER_SECONDS, trust_env=False) as client:
        for name in names:
            said = {"prediction_id": name, "workload": one.name, "right_answer": WRONG}
            client.post(f"{one.target.services}/reviews", json=said).raise_for_status()


def _decided_before(second: Desk) -> str:
    """Whether the pair was decided before another key agrees; and that it is then."""
    if within(SEEN_SECONDS, lambda: second.count("corrections_v1") > 0):
        return "one key's word is what both models are measured by"
    second.reviews("pair", "", WRONG)
    is_decided = within(SEEN_SECONDS, lambda: second.count("corrections_v1") > 0)
    return "" if is_decided else "two keys that agree decide nothing either, so nothing is proved"


@contextmanager
def pair(name: str) -> Iterator[tuple[Desk, Desk]]:
    """A pair that waits for its reviews, as two who have reviewers' keys see it."""
    here = keyed()
    with desk(here.target, name, here.host) as owners:
        owners.log("pair", confidence=0.9)
        recorded = ShadowPairRecorded(
            run_id="run",
            workload=name,
            prediction_id="pair",
            predicted_at=now(),
            champion=CHAMPION,
            champion_answer=RIGHT,
            champion_confidence=0.9,
            candidate="the-candidate",
            candidate_answer=WRONG,
            candidate_confidence=0.9,
            recorded_at=now(),
        )
        owners.publish(recorded)
        owners.awaited("review_items_v1", ["pair"])
        anna, ben = (here.key_of(reviewer, "reviewer") for reviewer in ("anna", "ben"))
        yield replace(owners, headers=anna), replace(owners, headers=ben)
