"""What is wanted of a training, and why it cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.workloads.adapter_states import AdapterState, Alias, adapter_state
from services.workloads.complaints import BadWorkload
from services.workloads.requested_training import KnownTrainings, Twin, fusable, overridden, twin_of
from shared.events import DatasetPublished, FrozenAdapter, TrainingRequested
from shared.training.section import FILLED_IN_BEFORE
from shared.workload import Training, Workload

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
WORKLOAD = Workload(name="tickets", title="Tickets", prompt="{text}\nTopic:", labels=("a", "b"))
FUSION = Training(method="fusion")


def adapter(name: str, base_model: str = WORKLOAD.base_model) -> FrozenAdapter:
    return FrozenAdapter(name=name, uri=name, digest="sha256:" + "a" * 64, base_model=base_model)


def requested(request_id: str, seed: int, **changes: Any) -> TrainingRequested:
    event = TrainingRequested(
        request_id=request_id,
        workload="tickets",
        revision=1,
        dataset_id="d1",
        training=Training(seed=seed),
        requested_by="ada",
        reason="a test",
        requested_at=AT,
    )
    return event.model_copy(update=changes)


def test_what_is_given_stands_in_the_place_of_the_definitions_and_the_rest_stays() -> None:
    held = Training(lora_r=8, seed=3)
    assert overridden(held, {"seed": 4, "method": "lora"}) == Training(lora_r=8, seed=4, method="lora")
    assert overridden(held, {}) == held
    once_defaults = Training.model_validate(FILLED_IN_BEFORE)
    assert overridden(held, FILLED_IN_BEFORE) == once_defaults
    assert overridden(once_defaults, {"seed": 4}) == once_defaults.model_copy(update={"seed": 4})


@pytest.mark.parametrize(
    ("held", "given"),
    [
        (Training(use_4bit=True), {"method": "lora"}),
        (Training(warmup_steps=10), {"warmup_ratio": 0.1}),
        (Training(warmup_ratio=0.1), {"warmup_steps": 10}),
        (Training(method="fusion", combination="svd"), {"method": "lora"}),
    ],
    ids=["method", "warmup_ratio", "warmup_steps", "fusion"],
)
def test_what_is_given_stands_in_the_place_of_what_says_the_same_in_another_way(
    held: Training, given: dict[str, Any]
) -> None:
    assert overridden(held, given) == Training(**given)


@pytest.mark.parametrize(
    ("given", "where", "said"),
    [
        ({"method": "dora"}, "training.method", "'lora'"),
        ({"learning_rat": 1e-4}, "training.learning_rat", "is not a setting. Check its spelling."),
        ({"base_model": "other"}, "training.base_model", "change base_model in the workload's definition"),
        ({"learning_rate": 5}, "training.learning_rate", "less than 1"),
        ({"warmup_steps": 1, "warmup_ratio": 0.1}, "training", "Remove one"),
    ],
    ids=["method", "spelling", "base model", "range", "both"],
)
def test_what_will_not_do_is_named(given: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(BadWorkload) as refused:
        overridden(Training(), given)
    (complaint,) = refused.value.complaints
    assert complaint.where == where
    assert said in complaint.problem


def test_a_fusion_is_made_of_known_adapters_of_one_base_model() -> None:
    known = {name: adapter(name) for name in ("one", "two")} | {"other": adapter("other", "gpt")}
    assert fusable(FUSION, ["one", "two", "one"], known, WORKLOAD) == [known["one"], known["two"]]
    assert fusable(Training(), [], known, WORKLOAD) == []
    for names, said in (
        (["one"], "two adapters or more"),
        (["one", "none"], "tuneloop adapters list"),
        (["one", "other"], "one base model"),
    ):
        with pytest.raises(BadWorkload, match=said):
            fusable(FUSION, names, known, WORKLOAD)
    with pytest.raises(BadWorkload, match="only the method"):
        fusable(Training(), ["one", "two"], known, WORKLOAD)
    named = Training(method="fusion", adapters=("two", "one"))
    assert fusable(named, [], known, WORKLOAD) == [known["two"], known["one"]]
    three = Training(method="fusion", weights=(1.0, 1.0, 1.0))
    with pytest.raises(BadWorkload, match="3 numbers for 2 adapters"):
        fusable(three, ["one", "two"], known, WORKLOAD)


def test_another_method_than_the_definitions_fusion_takes_none_of_its_settings() -> None:
    held = Training(method="fusion", adapters=("one", "two"), density=0.3, seed=4)
    assert overridden(held, {"method": "lora"}) == Training(method="lora", seed=4)


def test_a_twin_is_the_same_training_of_the_same_dataset_unless_it_failed() -> None:
    wanted, earlier = requested("new", 1), [requested("r1", 1), requested("r2", 2)]
    (first, second) = (one.run_id for one in earlier)
    known = KnownTrainings(earlier, {first: "training", second: "evaluated"}, under_way=())
    assert twin_of(wanted, known) == Twin(first, "training")
    assert twin_of(wanted, replace(known, states={first: "failed", second: "evaluated"})) is None
    assert twin_of(requested("new", 3), known) is None
    assert twin_of(requested("new", 1, dataset_id="d2"), known) is None


def test_one_asked_for_a_moment_ago_is_a_twin_before_its_run_begins() -> None:
    (first,) = earlier = [requested("r1", 1)]
    known = KnownTrainings(earlier, {}, under_way={first.run_id})
    assert twin_of(requested("new", 1), known) == Twin(first.run_id, "requested")
    assert twin_of(requested("new", 1), replace(known, under_way=())) is None


def test_a_run_that_is_known_to_have_failed_is_no_twin_while_its_round_has_not_heard_of_it() -> None:
    (first,) = earlier = [requested("r1", 1)]
    known = KnownTrainings(earlier, {first.run_id: "failed"}, under_way={first.run_id})
    assert twin_of(requested("new", 1), known) is None


def test_the_run_that_followed_the_dataset_by_itself_is_a_twin_of_its_settings() -> None:
    run_id = DatasetPublished.run_of("d1")
    known = KnownTrainings([], {run_id: "evaluated"}, under_way=(), by_itself=Training(seed=1))
    assert twin_of(requested("new", 1), known) == Twin(run_id, "evaluated")
    assert twin_of(requested("new", 2), known) is None
    assert twin_of(requested("new", 1, adapters=[adapter("a"), adapter("b")]), known) is None
    assert twin_of(requested("new", 1), replace(known, states={run_id: "failed"})) is None
    assert twin_of(requested("new", 1), replace(known, by_itself=None)) is None


PROMOTED = [Alias("v1", "promoted"), Alias("v2", "promoted"), Alias("v3", "promoted")]
ROLLED_BACK = [*PROMOTED, Alias("v2", "rolled back")]


@pytest.mark.parametrize(
    ("name", "aliases", "state"),
    [
        ("v3", PROMOTED, AdapterState.CHAMPION),
        ("v2", PROMOTED, AdapterState.PREVIOUS),
        ("v1", PROMOTED, AdapterState.FORMER),
        ("v2", ROLLED_BACK, AdapterState.CHAMPION),
        ("v3", ROLLED_BACK, AdapterState.WITHDRAWN),
        ("v1", ROLLED_BACK, AdapterState.PREVIOUS),
        ("v9", PROMOTED, AdapterState.CANDIDATE),
        ("v9", [], AdapterState.CANDIDATE),
    ],
    ids=["answers", "before", "long ago", "again", "rolled back", "before that", "new", "first"],
)
def test_what_became_of_an_adapter_follows_from_who_answered_when(
    name: str, aliases: list[Alias], state: AdapterState
) -> None:
    assert adapter_state(name, "r", aliases, {}, frozenset()) == state


def test_an_adapter_that_never_answered_stands_as_it_was_judged() -> None:
    def state(verdicts: dict[str, str], *failed: str) -> AdapterState:
        return adapter_state("v9", "r", PROMOTED, verdicts, frozenset(failed))

    assert state({"r": "HOLD"}) is AdapterState.HELD
    assert state({"r": "REJECT"}) is AdapterState.REJECTED
    assert state({}, "r") is AdapterState.FAILED
