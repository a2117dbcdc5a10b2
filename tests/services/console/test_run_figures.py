"""How a run was trained, in figures."""

from __future__ import annotations

from dataclasses import replace

from services.console import page_queries
from services.console.run_figures import run_figures, seen
from tests.services.console.examples import NOW

RUN = page_queries.Run(
    "r1", "d1", "c1", "x", "evaluated", 60, 0.612, 119.0, "", NOW, "qlora", "ada",
    {"method": "qlora"}, {"method": "qlora", "learning_rate": 2e-4, "target_modules": ["q", "v"]},
    400, 960, 0.655, ["few rows"], 2.31, 2.64,
)  # fmt: skip


def test_a_run_says_its_method_what_it_saw_its_losses_and_every_setting() -> None:
    figures = run_figures(RUN)
    assert dict(figures.lines) == {
        "Method": "qlora",
        "Asked for by": "ada",
        "Rows seen": "960, 2.4 times each of 400",
        "Optimiser steps": "60",
        "Final loss": "0.612",
        "Eval loss": "0.655",
        "Time": "119 s",
        "Memory": "2.3 GB at most, 2.6 estimated",
    }
    assert dict(figures.settings) == {"method": "qlora", "learning_rate": "0.0002", "target_modules": "q, v"}
    assert (list(figures.warnings), figures.is_under_way) == (["few rows"], False)


def test_what_has_not_run_yet_shows_what_was_asked_for() -> None:
    waiting = replace(
        RUN, state="training", method="", plan=None, steps=0, seconds=0.0, rows_seen=None, train_rows=0,
        eval_loss=None, requested_by="", peak_memory_gb=None,
    )  # fmt: skip
    figures = run_figures(waiting)
    assert dict(figures.lines) == {
        "Method": "decided at its start",
        "Asked for by": "nobody: it follows its dataset",
    }
    assert figures.settings == [("method", "qlora")]
    assert figures.is_under_way


def test_a_model_of_unknown_shape_has_a_peak_and_no_estimate() -> None:
    assert ("Memory", "2.3 GB at most") in run_figures(replace(RUN, estimated_memory_gb=None)).lines


def test_rows_that_were_never_seen_are_told_as_a_share() -> None:
    assert seen(replace(RUN, train_rows=50_000, rows_seen=6_400)) == "6,400 of 50,000, 12.8\u00a0%"
    assert seen(replace(RUN, rows_seen=None)) == "400 rows"
    assert seen(replace(RUN, rows_seen=0)) == "none of 400: it trains nothing"  # a fusion
