"""How a run was trained, for people: its method, what it saw of its rows, its losses, every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.console import page_queries
from services.console.figures import count, percent

UNDER_WAY = ("training", "evaluating")


@dataclass(frozen=True)
class RunFigures:
    lines: Sequence[tuple[str, str]]
    """Name and figure; what is not known (yet) is left out."""
    settings: Sequence[tuple[str, str]]
    """Every setting as it ran; those that were asked for while it has not run."""
    warnings: Sequence[str]
    is_under_way: bool


def run_figures(run: page_queries.Run) -> RunFigures:
    lines = [
        ("Method", run.method or "decided at its start"),
        ("Asked for by", run.requested_by or "nobody: it follows its dataset"),
        ("Rows seen", seen(run)),
        ("Optimiser steps", f"{run.steps:,}" if run.steps else ""),
        ("Final loss", f"{run.final_loss:.3f}" if run.steps else ""),
        ("Eval loss", "" if run.eval_loss is None else f"{run.eval_loss:.3f}"),
        ("Time", f"{run.seconds:,.0f} s" if run.seconds else ""),
        ("Memory", _memory(run)),
    ]
    settings = run.plan or run.training or {}
    return RunFigures(
        [(name, said) for name, said in lines if said],
        [(name, _said(value)) for name, value in settings.items()],
        run.warnings,
        run.state in UNDER_WAY,
    )


def seen(run: page_queries.Run) -> str:
    """How much of its dataset a training read: fewer rows than there are is worth a look."""
    if run.rows_seen is None or not run.train_rows:
        return count(run.train_rows, "row") if run.train_rows else ""
    if run.rows_seen == 0:
        return f"none of {run.train_rows:,}: it trains nothing"
    if run.rows_seen < run.train_rows:
        return f"{run.rows_seen:,} of {run.train_rows:,}, {percent(run.rows_seen / run.train_rows)}"
    return f"{run.rows_seen:,}, {run.rows_seen / run.train_rows:.1f} times each of {run.train_rows:,}"


def _memory(run: page_queries.Run) -> str:
    if run.peak_memory_gb is None:
        return ""
    before = run.estimated_memory_gb
    return f"{run.peak_memory_gb:.1f} GB at most" + (f", {before:.1f} estimated" if before else "")


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
