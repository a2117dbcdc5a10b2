"""Once round the loop: what each stage last said, and how the round that `workloads` tells of stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.console import page_queries
from services.console.figures import count, difference, percent, share
from shared.events import Rate
from shared.intervals import wilson
from shared.workload import Workload


class Stage(StrEnum):
    """The stations of the loop, in order; the last leads to the first."""

    MONITOR = "monitor"
    REVIEW = "review"
    FAILURES = "failures"
    DATASET = "dataset"
    TRAINING = "training"
    EVALUATION = "evaluation"
    SHADOW = "shadow"
    PROMOTION = "promotion"


STAGES = tuple(Stage)


class StageState(StrEnum):
    """Each has a sign of its own beside its colour."""

    EMPTY = "empty"  # nothing was said yet
    DONE = "done"
    WORKING = "working"
    FAILED = "failed"


@dataclass(frozen=True)
class Round:
    """Once round the loop, as `workloads` tells it: of a cycle, or a revision's first training."""

    stage: str
    is_over: bool
    outcome: str | None
    """"promoted", "held", "rejected", "refused" or "failed"; None while it is under way."""
    sentence: str = ""
    waits_since: datetime | None = None
    """Since then it stands still, and waits; its sentence says why."""


NO_TRAFFIC = page_queries.Traffic(0, 0, 0, 0, None)
NOTHING_REVIEWED = page_queries.Reviewing(0, 0, 0, wilson(0, 0), None)


@dataclass(frozen=True)
class Snapshot:
    """All that the first page is drawn from, read at one time."""

    definition: Workload
    champion: str = ""
    """Empty: no adapter answers users yet."""
    champion_since: datetime | None = None
    champion_lost: str = ""
    """Why the champion cannot be loaded any more, and what to do; empty while it can."""
    traffic: page_queries.Traffic = NO_TRAFFIC
    reviewing: page_queries.Reviewing = NOTHING_REVIEWED
    cycle: page_queries.Cycle | None = None
    clusters: Sequence[page_queries.Cluster] = ()
    datasets: Sequence[page_queries.Dataset] = ()
    refusal: page_queries.Refusal | None = None
    runs: Sequence[page_queries.Run] = ()
    evaluations: Sequence[page_queries.Evaluation] = ()
    pairs: Sequence[page_queries.Pairs] = ()
    waits: Mapping[str, page_queries.Waits] = field(default_factory=dict)
    """Run → what its candidate waits for before its shadow goes on."""
    verdicts: Sequence[page_queries.Judged] = ()
    revisions: Sequence[page_queries.AliasRevision] = ()
    audited: Rate = field(default_factory=lambda: wilson(0, 0))

    def champion_accuracy(self) -> Rate | None:
        """What the champion scored on the held-out rows when it was a candidate."""
        scored = (one.scorecard.held_out for one in self.evaluations if one.candidate == self.champion)
        return next(scored, None)


@dataclass(frozen=True)
class ShownStage:
    """A stage as the page shows it: what it last said and when, or what makes it say something."""

    stage: Stage
    state: StageState
    sentence: str
    at: datetime | None


def under_way(latest: Round | None) -> tuple[Stage, StageState] | None:
    """Where the latest round works or failed; None when it is complete and the loop rests."""
    if latest is None or latest.outcome in ("promoted", "held", "rejected"):
        return None
    return Stage(latest.stage), StageState.FAILED if latest.is_over else StageState.WORKING


def in_words(latest: Round | None) -> str:
    """The same as a sentence's end."""
    here = under_way(latest)
    if here is None:
        return "the loop rests until the next cycle"
    stage, how = here
    if how is StageState.FAILED:
        return f"now: {stage} failed"
    return f"now: {stage}, which waits" if latest and latest.waits_since else f"now: {stage}"


def stages(now: Snapshot, latest: Round | None) -> list[ShownStage]:
    """All eight, in order."""
    here = under_way(latest)
    sentences = {
        Stage.MONITOR: _monitor(now),
        Stage.REVIEW: _review(now),
        Stage.FAILURES: _failures(now),
        Stage.DATASET: _dataset(now),
        Stage.TRAINING: _training(now),
        Stage.EVALUATION: _evaluation(now),
        Stage.SHADOW: _shadow(now),
        Stage.PROMOTION: _promotion(now),
    }
    shown = []
    for stage, (sentence, at) in sentences.items():
        how = StageState.DONE if at else StageState.EMPTY
        if here and here[0] is stage:
            how = here[1]
            if latest and latest.waits_since:
                sentence, at = latest.sentence[:1].upper() + latest.sentence[1:], latest.waits_since
        shown.append(ShownStage(stage, how, sentence, at))
    return shown


Sentence = tuple[str, datetime | None]


def _monitor(now: Snapshot) -> Sentence:
    traffic = now.traffic
    if not traffic.predictions:
        return (
            f"No request in the last day. Send some to the gateway with the model “{now.definition.name}”.",
            None,
        )
    doubted = f"{traffic.doubted:,} doubted ({percent(traffic.doubted / traffic.predictions)})"
    sentence = f"{count(traffic.predictions, 'request')} in the last day, {doubted}"
    if traffic.signals:
        sentence += f"; {traffic.negative} of {count(traffic.signals, 'user signal')} negative"
    if traffic.unmatched:
        sentence += f"; {traffic.unmatched:,} of them on no request of this workload"
    return sentence, traffic.last_at


def _review(now: Snapshot) -> Sentence:
    reviewing = now.reviewing
    waiting = f"{reviewing.open:,} to review"
    if reviewing.disputed:
        waiting += f", {reviewing.disputed:,} disputed"
    if not reviewing.corrections:
        if reviewing.open or reviewing.disputed:
            return f"{waiting}. Open Review and press the key of the right answer.", None
        return "Nothing to review yet. Doubted, disliked and randomly drawn answers will come here.", None
    sentence = f"{waiting}; {count(reviewing.corrections, 'right answer')} agreed"
    if reviewing.agreement.n:
        sentence += f"; reviewers agree on {share(reviewing.agreement)}"
    return sentence, reviewing.last_at


def _failures(now: Snapshot) -> Sentence:
    if not now.clusters:
        rule = now.definition.cycle
        return (
            f"No cycle has looked for failures yet. One starts after {rule.corrections:,} corrections or "
            f"{count(rule.every_days, 'day')}, or when you start it.",
            now.cycle.cutoff if now.cycle else None,
        )
    largest = ", ".join(f"“{cluster.name}” {cluster.size}" for cluster in now.clusters[:2])
    more = ", …" if len(now.clusters) > 2 else ""
    return f"{count(len(now.clusters), 'cluster')}: {largest}{more}", now.clusters[0].found_at


def _dataset(now: Snapshot) -> Sentence:
    newest = now.datasets[0] if now.datasets else None
    if now.refusal and (newest is None or now.refusal.refused_at > newest.published_at):
        return f"Refused: {now.refusal.reason}", now.refusal.refused_at
    if newest is None:
        return "Version 1 is being made of the workload's own labelled rows.", None
    counts = newest.counts
    return (
        f"v{newest.version}, {count(newest.train_rows, 'row')}: {counts.corrected:,} corrected, "
        f"{count(counts.duplicates, 'duplicate')} left out, "
        f"{count(counts.redacted_values, 'personal value')} redacted, "
        f"{count(counts.leaks_blocked, 'leak')} blocked",
        newest.published_at,
    )


def _training(now: Snapshot) -> Sentence:
    if not now.runs:
        return "Starts by itself when a dataset is published.", None
    run = now.runs[0]
    if run.state == "failed":
        return f"Failed: {run.reason}", run.changed_at
    if run.state == "training":
        return "Training a candidate.", run.changed_at
    return (
        f"{run.candidate}: {count(run.steps, 'step')}, loss {run.final_loss:.2f}, {run.seconds:.0f} s",
        run.changed_at,
    )


def _evaluation(now: Snapshot) -> Sentence:
    if not now.evaluations:
        return "Scores every candidate beside the champion, on rows that no model was trained on.", None
    newest = now.evaluations[0]
    card = newest.scorecard
    sentence = f"Held-out {share(card.held_out)}"
    if card.held_out_difference:
        sentence += f", {difference(card.held_out_difference)}"
    if card.golden_difference:
        sentence += f"; golden {difference(card.golden_difference)}"
    return sentence, newest.evaluated_at


def _shadow(now: Snapshot) -> Sentence:
    if not now.pairs:
        return "Lets a candidate answer real requests beside the champion, unseen by users.", None
    newest = now.pairs[0]
    return (
        f"{count(newest.pairs, 'request')} answered by both, {newest.differing:,} differ: "
        f"candidate right {newest.candidate_right:,}, champion right {newest.champion_right:,}",
        newest.last_at,
    )


def _promotion(now: Snapshot) -> Sentence:
    if not now.verdicts:
        return "Promotes on evidence alone; everything else is held or rejected.", None
    newest = now.verdicts[0]
    return f"{newest.verdict} {newest.candidate}: {newest.reason}", newest.judged_at
