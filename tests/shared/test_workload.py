"""A definition in an event is read for ever; one that a person writes must have no typo."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.workload import Cycle, Workload

GIVEN: dict[str, Any] = {
    "name": "tickets",
    "title": "Tickets",
    "prompt": "{text}\nTopic:",
    "labels": ["billing", "delivery"],
}


def test_an_events_definition_ignores_what_it_does_not_know() -> None:
    newer = GIVEN | {"budget": 3, "review": {"doubt_below": 0.5, "by_whom": "anybody"}}
    assert Workload.model_validate(newer) == Workload.model_validate(GIVEN | {"review": {"doubt_below": 0.5}})


@pytest.mark.parametrize("more", [{"budget": 3}, {"review": {"doubt_bellow": 0.5}}])
def test_what_a_person_writes_holds_no_unknown_key(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Workload.written(GIVEN | more)


@pytest.mark.parametrize("read", [Workload.model_validate, Workload.written])
def test_an_old_name_is_read_for_ever(read: Any) -> None:
    assert read(GIVEN | {"cycle": {"failures": 40}}).cycle == Cycle(corrections=40)


def test_the_new_name_wins_over_the_old() -> None:
    both = {"cycle": {"failures": 40, "corrections": 50}}
    assert Workload.model_validate(GIVEN | both).cycle.corrections == 50
