"""A definition in an event is read for ever; one that a person writes must have no typo."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from shared.events import WorkloadAdded
from shared.fields import FrozenFile
from shared.training.section import FILLED_IN_BEFORE, Training
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


def revision(number: int, definition: Workload, rows: str = "a", **more: Any) -> WorkloadAdded:
    return WorkloadAdded(
        revision=number,
        definition=definition,
        answers={label: f" {letter}" for label, letter in zip(definition.labels, "ABCD", strict=False)},
        rows=FrozenFile(uri="x", digest=f"sha256:{rows * 64}", rows=1),
        added_at=datetime(2026, 11, 24, tzinfo=UTC),
        **more,
    )


FIRST = revision(1, Workload.model_validate(GIVEN))


@pytest.mark.parametrize(("more", "said"), [({}, {}), ({"max_steps": 70}, {"max_steps": 70})], ids=str)
def test_what_an_event_of_version_0_1_filled_in_by_itself_is_nobodys_word(
    more: dict[str, Any], said: dict[str, Any]
) -> None:
    stored = json.loads(FIRST.to_json())
    stored["definition"]["training"] = FILLED_IN_BEFORE | more
    assert WorkloadAdded.model_validate_json(json.dumps(stored)).definition.training == Training(**said)


def test_what_an_owner_says_since_is_in_every_event_though_all_of_it_once_was_the_default() -> None:
    training = Training.model_validate(FILLED_IN_BEFORE)
    said = revision(1, Workload.model_validate(GIVEN | {"training": training}))
    assert WorkloadAdded.model_validate_json(said.to_json()).definition.training == training
    assert training.model_dump(exclude_none=True).keys() == {
        "lora_r" if name == "rank" else name for name in FILLED_IN_BEFORE
    }


@pytest.mark.parametrize(
    ("changes", "trains"),
    [
        ({}, False),
        ({"title": "Other"}, False),
        ({"review": {"doubt_below": 0.1}}, False),
        ({"labels": ["bills", "delivery"], "renamed": {"billing": "bills"}}, False),
        ({"labels": ["delivery", "billing"]}, True),  # each means another token than before
        ({"labels": ["billing", "delivery", "refund"]}, True),
        ({"labels": ["billing", "refund"], "removed": ["delivery"]}, True),
        ({"prompt": "{text}\nAbout:"}, True),
        ({"training": {"rank": 8}}, True),
    ],
)
def test_a_revision_trains_if_something_else_is_learnt(changes: dict[str, Any], trains: bool) -> None:
    after = revision(2, Workload.model_validate(GIVEN | changes))
    assert after.trains_differently_from(FIRST) is trains


def test_other_rows_train_and_so_does_a_revision_that_is_tried_again() -> None:
    definition = Workload.model_validate(GIVEN)
    assert revision(2, definition, rows="b").trains_differently_from(FIRST)
    assert revision(2, definition, trains_again=True).trains_differently_from(FIRST)
