"""The table of candidates: what each scored against the champion, what its shadow showed, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

from services.console import page_queries
from services.console.cycle_status import Snapshot
from services.console.event_sentences import Tone
from services.console.feed import Progress
from services.console.figures import count, evidence, interval, percent, points, rows, span
from services.console.run_figures import seen
from shared.events import Difference, Rate

IN_SHADOW = "Answers real requests beside the champion until the evidence is in."
SIGNS = {"PROMOTE": "▲", "HOLD": "‖", "REJECT": "✕"}


@dataclass(frozen=True)
class Whisker:
    """A difference with its interval on an axis from 0 to 100; zero difference is at 50."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A figure, how sure it is, and its picture where it has one."""

    value: str
    interval: str = ""
    whisker: Whisker | None = None


@dataclass(frozen=True)
class CandidateRow:
    run_id: str
    cycle_id: str
    candidate: str
    is_champion: bool
    dataset: str
    training: str
    """Its method and what it saw of its rows."""
    warnings: tuple[str, ...]
    held_out: Cell
    held_out_difference: Cell
    golden_difference: Cell
    golden_regressed: bool
    pairs: tuple[str, ...]
    """In lines."""
    evidence: str
    towards_bound: float | None
    """How far the e-value has come on its way from 1 to its bound, on a logarithmic scale: 0 to 1."""
    verdict: str
    sign: str
    tone: Tone
    sentence: str
    at: datetime


def candidate_rows(now: Snapshot, progress: Progress | None = None) -> list[CandidateRow]:
    """One row a run, the newest first. `progress` is that of the run that is busy, where it is known."""
    evaluations = {one.run_id: one for one in now.evaluations}
    verdicts = {one.run_id: one for one in now.verdicts}
    pairs = {one.run_id: one for one in now.pairs}
    versions = {one.dataset_id: one for one in now.datasets}
    runs = {one.run_id: one for one in now.runs}
    scale = _scale(now.evaluations)
    shown = [
        _row(
            run_id,
            runs.get(run_id),
            evaluations.get(run_id),
            verdicts.get(run_id),
            pairs.get(run_id),
            versions,
            now.champion,
            scale,
            progress if progress and progress.run_id == run_id else None,
            now.waits.get(run_id),
        )
        for run_id in {**runs, **evaluations, **verdicts}
    ]
    return sorted(shown, key=lambda row: row.at, reverse=True)


def whisker(value: Difference, scale: float) -> Whisker:
    """`scale` is the difference at either end of the axis, as a share."""

    def place(delta: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, delta / scale)), 1)

    return Whisker(place(value.low), place(value.delta), place(value.high))


def towards_bound(e_value: float, needed: float) -> float:
    """0 where nothing speaks for the candidate (an e-value of 1 or less), 1 at the bound and past it."""
    return max(0.0, min(1.0, log(max(e_value, 1e-9)) / log(needed)))


def _scale(evaluations: Sequence[page_queries.Evaluation]) -> float:
    cards = [one.scorecard for one in evaluations]
    shown = [card.held_out_difference for card in cards] + [card.golden_difference for card in cards]
    ends = [max(abs(one.low), abs(one.high)) for one in shown if one is not None and one.n]
    return max([0.05, *ends])


def _row(
    run_id: str,
    run: page_queries.Run | None,
    scored: page_queries.Evaluation | None,
    judged: page_queries.Judged | None,
    pairs: page_queries.Pairs | None,
    versions: dict[str, page_queries.Dataset],
    champion: str,
    scale: float,
    progress: Progress | None,
    waits: page_queries.Waits | None,
) -> CandidateRow:
    known = judged or scored or run
    assert known is not None  # run ids come from these three
    card = scored.scorecard if scored else None
    dataset = versions.get(known.dataset_id)
    verdict, sign, tone, sentence = _verdict(run, scored, judged, progress, waits)
    return CandidateRow(
        run_id=run_id,
        cycle_id=known.cycle_id,
        candidate=known.candidate or "in training",
        is_champion=bool(champion) and known.candidate == champion,
        dataset=f"v{dataset.version}, {count(dataset.train_rows, 'row')}" if dataset else "unknown",
        training=", ".join(filter(None, (run.method, seen(run)))) if run else "",
        warnings=tuple(run.warnings) if run else (),
        held_out=_share(card.held_out) if card else Cell("–"),
        held_out_difference=_cell(card.held_out_difference if card else None, scale),
        golden_difference=_cell(card.golden_difference if card else None, scale),
        golden_regressed=bool(card and card.golden_regressed),
        pairs=_pairs(pairs, judged),
        evidence=_evidence(judged),
        towards_bound=(
            towards_bound(judged.evidence.e_value, judged.evidence.e_value_needed)
            if judged and judged.evidence.pairs
            else None
        ),
        verdict=verdict,
        sign=sign,
        tone=tone,
        sentence=sentence,
        at=judged.judged_at if judged else scored.evaluated_at if scored else known_at(run),
    )


def known_at(run: page_queries.Run | None) -> datetime:
    assert run is not None  # the only one left of three
    return run.changed_at


def _share(rate: Rate) -> Cell:
    return Cell(percent(rate.value), f"{interval(rate)}, {rows(rate.n)}") if rate.n else Cell("not measured")


def _cell(value: Difference | None, scale: float) -> Cell:
    if value is None or value.n == 0:
        return Cell("–")
    return Cell(f"{points(value.delta)} points", f"{span(value)}, {rows(value.n)}", whisker(value, scale))


def _pairs(pairs: page_queries.Pairs | None, judged: page_queries.Judged | None) -> tuple[str, ...]:
    """The pairs that the verdict stands on, or those so far."""
    shown = judged.evidence if judged and judged.evidence.pairs else pairs
    if shown is None:
        return ("–",)
    return (
        f"{count(shown.pairs, 'pair')}, {shown.differing:,} differ",
        f"right: candidate {shown.candidate_right:,}, champion {shown.champion_right:,}",
    )


def _evidence(judged: page_queries.Judged | None) -> str:
    if judged is None or not judged.evidence.pairs:
        return ""
    return f"e-value {evidence(judged.evidence.e_value)}, needs {evidence(judged.evidence.e_value_needed)}"


def _verdict(
    run: page_queries.Run | None,
    scored: page_queries.Evaluation | None,
    judged: page_queries.Judged | None,
    progress: Progress | None,
    waits: page_queries.Waits | None,
) -> tuple[str, str, Tone, str]:
    if judged is not None:
        tone = {"PROMOTE": Tone.GOOD, "REJECT": Tone.ERROR}.get(judged.verdict, Tone.NEUTRAL)
        return judged.verdict, SIGNS.get(judged.verdict, "·"), tone, judged.reason
    if scored is not None:
        return "in shadow", "●", Tone.CANDIDATE, waits.sentence if waits else IN_SHADOW
    assert run is not None
    if run.state == "failed":
        return "failed", "!", Tone.ERROR, run.reason
    return run.state, "●", Tone.CANDIDATE, progress.sentence if progress else ""
