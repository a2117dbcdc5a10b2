"""What keeps work from reviewers: items that nobody looks at, and that are kept for somebody all the same."""

from __future__ import annotations

from dataclasses import replace

import httpx

from tests.attacks.asking import asked
from tests.attacks.attack import attack
from tests.attacks.desk import Desk, desk, numbered
from tests.attacks.keyed import keyed
from tests.attacks.target import Target

ITEMS, INVENTED = 40, 60
IMAGE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
"""What a browser says of an image that a foreign page shows."""


@attack
def invented_reviewers_take_every_item(target: Target) -> str:
    """Sixty names ask for an item each and judge none: for ten minutes nobody has anything to review."""
    with desk(target, "taken-by-invented") as one:
        one.queued(*numbered("item", ITEMS))
        for number in range(INVENTED):
            _ask(one, f"invented-{number}")
        return _too_little_for(one, "anna", ITEMS)


@attack
def an_image_on_a_foreign_page_takes_an_item(target: Target) -> str:
    """Its address is that of the next item: a GET, which browsers send anywhere."""
    with desk(target, "taken-by-an-image") as one:
        one.queued("item")
        _get(one, "invented", IMAGE)
        return _too_little_for(one, "anna", 1)


@attack
def one_key_takes_every_item(_: Target) -> str:
    """A reviewer's key that asks and asks, and judges nothing."""
    here = keyed()
    with desk(here.target, "taken-by-a-key", here.host) as owners:
        owners.queued(*numbered("item", ITEMS))
        greedy = replace(owners, headers=here.key_of("greedy", "reviewer"))
        for _number in range(INVENTED):
            _ask(greedy, "")
        return _too_little_for(replace(owners, headers=here.key_of("anna", "reviewer")), "", ITEMS)


def _too_little_for(one: Desk, reviewer: str, items: int) -> str:
    """Fewer than half of what is there: some is given to two, whoever holds it."""
    given = {_ask(one, reviewer) for _ in range(items)} - {""}
    return f"a reviewer who is there gets {len(given)} of {items}" if 2 * len(given) < items else ""


def _ask(one: Desk, reviewer: str) -> str:
    """By both ways there are or were: the item that either gave, or nothing."""
    body = {"workload": one.name, "reviewer": reviewer}
    answers = [
        one.post("/reviews/claims", {name: said for name, said in body.items() if said}),
        _get(one, reviewer, {}),
    ]
    given = [answer for answer in answers if answer.status_code == 200 and "prediction_id" in answer.text]
    return str(given[0].json()["prediction_id"]) if given else ""


def _get(one: Desk, reviewer: str, headers: dict[str, str]) -> httpx.Response:
    place = {"workload": one.name, "reviewer": reviewer} if reviewer else {"workload": one.name}
    url = f"{one.target.services}/reviews/next"
    return asked("GET", url, headers={**one.headers, **headers}, params=place)
