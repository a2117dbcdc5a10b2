"""What each event says in MLflow's terms."""

from __future__ import annotations

from services.retraining.tracking.notes import AliasNote, RunNote, notes
from tests.services.retraining.tracking.run_events import (
    adapter,
    evaluated,
    failed,
    progressed,
    promoted,
    rolled_back,
    trained,
)


def test_a_step_is_a_metric_at_its_step() -> None:
    [note] = notes(progressed(1, 3, 0.75))
    assert isinstance(note, RunNote)
    assert (note.run_id, note.step, note.metrics, note.ends) == ("run-1", 3, {"train_loss": 0.75}, None)


def test_the_loss_on_validation_rows_is_a_metric_at_the_end_of_its_epoch() -> None:
    progress = progressed(1, 3, None).model_copy(update={"eval_loss": 0.5})
    [note] = notes(progress)
    assert isinstance(note, RunNote)
    assert (note.step, note.metrics) == (3, {"eval_loss": 0.5})
    assert progress.cause() != progressed(1, 3, 0.75).cause()  # both are said of one step


def test_progress_without_a_loss_says_nothing() -> None:
    assert list(notes(progressed(1, 0, None))) == []
    assert list(notes(progressed(1, 3, None, "evaluation"))) == []


def test_the_plan_becomes_parameters_and_what_was_measured_becomes_metrics() -> None:
    [note] = notes(trained(1))
    assert isinstance(note, RunNote)
    assert note.params["lora_r"] == "16"
    assert note.params["device.kind"] == "cpu"
    assert note.params["base_model"] == "small"
    assert (note.metrics["best_eval_loss"], note.metrics["rows_seen"], note.step) == (0.5, 48, 4)
    assert (note.metrics["peak_memory_gb"], note.metrics["estimated_memory_gb"]) == (2.25, 2.5)
    assert note.tags["tuneloop.adapter"] == adapter(1).name
    assert note.tags["tuneloop.warnings"] == "Twice."


def test_a_run_of_version_0_2_has_no_plan_and_is_noted_all_the_same() -> None:
    older = trained(1).model_copy(update={"plan": None, "eval_loss": None, "rows_seen": None})
    [note] = notes(older)
    assert isinstance(note, RunNote)
    assert "lora_r" not in note.params
    assert "best_eval_loss" not in note.metrics


def test_a_scorecard_ends_the_run_and_its_candidate_is_the_challenger() -> None:
    run, alias = notes(evaluated(2, champion="before"))
    assert isinstance(run, RunNote)
    assert run.ends == "FINISHED"
    assert run.metrics["held_out/accuracy"] == 0.8
    assert run.metrics["held_out/n"] == 10
    assert run.metrics["held_out/difference"] == 0.2
    assert run.metrics["champion/accuracy"] == 0.6
    assert run.metrics["adversarial/typos/accuracy"] == 0.7
    assert run.metrics["held_out/macro_f1"] == 0.8
    assert alias == AliasNote("tickets", "challenger", adapter(2), "run-2")


def test_a_failed_run_ends_with_its_reason() -> None:
    [note] = notes(failed(1, "no memory"))
    assert isinstance(note, RunNote)
    assert (note.ends, note.tags) == ("FAILED", {"tuneloop.reason": "no memory"})


def test_promotion_and_rollback_move_the_champion() -> None:
    assert list(notes(promoted(1, 4))) == [AliasNote("tickets", "champion", adapter(1), "run-1", 4)]
    assert list(notes(rolled_back(2, 5))) == [AliasNote("tickets", "champion", adapter(2), None, 5)]
