"""The alias's history: who may come back, and who may leave the model server."""

from __future__ import annotations

from datetime import timedelta

from services.shadow_deployment.champion_history import (
    AliasRevision,
    carried,
    promoted,
    rolled_back,
    superfluous,
)
from shared.events import CandidateJudged, Evidence, Verdict
from tests.services.shadow_deployment.example_events import CUTOFF, WORKLOAD, adapter, rollback


def history_of(*steps: str) -> list[AliasRevision]:
    """Promotions by name; "<" is a rollback."""
    history: list[AliasRevision] = []
    for step in steps:
        if step == "<":
            revision = rolled_back(history, rollback(f"request-{len(history)}"), CUTOFF)
            assert revision is not None
            history.append(revision)
        else:
            history.append(promoted(history, judged(step)))
    return history


def judged(candidate: str) -> CandidateJudged:
    return CandidateJudged(
        run_id=f"run-{candidate}",
        workload=WORKLOAD,
        dataset_id="dataset",
        cycle_id=None,
        candidate=adapter(candidate),
        champion=None,
        verdict=Verdict.PROMOTE,
        reason="It is better.",
        evidence=Evidence(),
        judged_at=CUTOFF + timedelta(minutes=1),
    )


def test_revisions_count_promotions_and_rollbacks_alike() -> None:
    history = history_of("a", "b", "<", "c")
    assert [(revision.revision, revision.champion.name) for revision in history] == [
        (1, "a"),
        (2, "b"),
        (3, "a"),
        (4, "c"),
    ]
    assert [revision.previous and revision.previous.name for revision in history] == [None, "a", "b", "a"]


def test_a_second_rollback_goes_one_further_and_not_forth_again() -> None:
    assert [revision.champion.name for revision in history_of("a", "b", "c", "<", "<")] == [
        "a",
        "b",
        "c",
        "b",
        "a",
    ]


def test_a_withdrawn_champion_does_not_come_back() -> None:
    assert [revision.champion.name for revision in history_of("a", "b", "<", "c", "<")][-1] == "a"


def test_nobody_stands_before_the_first_champion() -> None:
    assert rolled_back([], rollback(), CUTOFF) is None
    assert rolled_back(history_of("a"), rollback(), CUTOFF) is None
    assert rolled_back(history_of("a", "b", "<"), rollback(), CUTOFF) is None


def test_a_champion_that_returns_keeps_the_run_that_made_it() -> None:
    assert history_of("a", "b", "<")[-1].run_id == "run-a"


def test_the_live_adapter_the_one_before_and_shadows_stay_loaded_and_foreign_ones_are_left_alone() -> None:
    loaded = {"base", "foreign", "a", "b", "c", "held", "shadow"}
    ours = {"a", "b", "c", "held", "shadow", "never-loaded"}
    assert superfluous(loaded, ours, history_of("a", "b", "c"), {"shadow"}) == ["a", "held"]
    assert superfluous(loaded, ours, history_of("a", "b", "<"), {"shadow"}) == ["c", "held"]


def test_a_champion_carried_to_its_copy_costs_the_one_before_no_place() -> None:
    history = history_of("a", "b", "c")
    copy = history[-1].champion.model_copy(update={"uri": "adapters/c-with-a-contract"})
    moved = carried(history, copy)
    assert moved is not None
    assert superfluous({"a", "b", "c"}, {"a", "b", "c"}, [*history, moved], ()) == ["a"]
